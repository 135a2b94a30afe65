/** The signature mechanisms as `crypto sign` and `crypto verify` call them: the same flags for both (data-plane §2.2). */
import { z } from 'zod'
import { HASHES, type SignMechanism } from '../../../workers/hsm/protocol/mechanisms.ts'
import type { OptionSpec } from '../command.ts'

interface SignCommand {
  readonly name: string
  readonly title: string
  readonly flags: readonly OptionSpec[]
  /** Commander's flags in, the mechanism out. */
  readonly mechanism: z.ZodType<SignMechanism>
}

const hashFlag = (choices: readonly string[]) =>
  ({ flags: '--hash-function <hash>', description: 'the hash function', required: true, choices }) as const

const typeFlag = (description: string, choices: readonly string[]) =>
  ({ flags: '--data-type <type>', description, choices, default: 'raw' }) as const

const digestFlag = typeFlag('whether the data is the message (raw) or its digest', ['raw', 'digest'])
const dataType = z.enum(['raw', 'digest'])
const hashFlags = [hashFlag(HASHES), digestFlag] satisfies readonly OptionSpec[]
const hashInput = z.object({ hashFunction: z.enum(HASHES), dataType })

const MGFS = HASHES.map((hash) => `mgf1-${hash}` as const)

export const SIGN_COMMANDS: readonly SignCommand[] = [
  {
    name: 'rsa-pkcs',
    title: 'RSASSA-PKCS1-v1_5',
    flags: hashFlags,
    mechanism: hashInput.transform(({ hashFunction: hash, dataType }) => ({ name: 'rsa-pkcs', hash, dataType })),
  },
  {
    name: 'rsa-pkcs-pss',
    title: 'RSASSA-PSS',
    flags: [
      ...hashFlags,
      {
        flags: '--mgf <mgf>',
        description: 'the mask generation function; of the same hash',
        required: true,
        choices: MGFS,
      },
      { flags: '--salt-length <bytes>', description: 'the length of the salt in bytes', required: true },
    ],
    mechanism: hashInput
      .extend({
        mgf: z.enum(MGFS).transform((name) => HASHES.find((hash) => name === `mgf1-${hash}`) ?? 'sha256'),
        saltLength: z.coerce.number().int().min(0).max(512),
      })
      .transform(({ hashFunction: hash, mgf, saltLength, dataType }) => ({
        name: 'rsa-pkcs-pss',
        hash,
        mgf,
        saltLength,
        dataType,
      })),
  },
  {
    // r||s, not DER.
    name: 'ecdsa',
    title: 'ECDSA',
    flags: hashFlags,
    mechanism: hashInput.transform(({ hashFunction: hash, dataType }) => ({ name: 'ecdsa', hash, dataType })),
  },
  { name: 'ed25519', title: 'Ed25519', flags: [], mechanism: z.object({}).transform(() => ({ name: 'ed25519' })) },
  {
    name: 'ed25519ph',
    title: 'Ed25519ph, which hashes the message first',
    flags: [hashFlag(['sha512']), digestFlag],
    mechanism: z
      .object({ hashFunction: z.literal('sha512'), dataType })
      .transform(({ hashFunction: hash, dataType }) => ({ name: 'ed25519ph', hash, dataType })),
  },
  {
    name: 'ml-dsa',
    title: 'ML-DSA',
    flags: [
      hashFlag(['shake256']),
      typeFlag('whether the data is the message (raw) or its representative mu, 64 bytes', ['raw', 'external-mu']),
    ],
    mechanism: z
      .object({ hashFunction: z.literal('shake256'), dataType: z.enum(['raw', 'external-mu']) })
      .transform(({ dataType }) => ({ name: 'ml-dsa', dataType })),
  },
]
