/** The wrapping mechanisms as `key wrap` and `key unwrap` call them: nearly the same flags for both (data-plane §2.2). */
import { z } from 'zod'
import { HASHES, type UnwrapMechanism, type WrapMechanism } from '../../../workers/hsm/protocol/mechanisms.ts'
import type { OptionSpec } from '../command.ts'

interface WrapCommand {
  readonly name: string
  readonly title: string
  readonly flags: readonly OptionSpec[]
  /** Only for unwrapping. */
  readonly unwrapFlags: readonly OptionSpec[]
  /** Commander's flags in, the mechanism out. */
  readonly wrap: z.ZodType<WrapMechanism>
  readonly unwrap: z.ZodType<UnwrapMechanism>
}

const TAG_BITS = ['32', '64', '96', '104', '112', '120', '128'] as const
const tagLengthBits = z
  .enum(TAG_BITS)
  .transform((bits) => z.literal([32, 64, 96, 104, 112, 120, 128]).parse(Number(bits)))

const hexadecimal = z
  .string()
  .regex(/^(0x)?([0-9a-fA-F]{2})*$/, 'is hexadecimal, two digits for each byte')
  .transform((text) => Buffer.from(text.replace(/^0x/, ''), 'hex'))

const gcmFlags = [
  { flags: '--tag-length-bits <bits>', description: 'length of the tag', required: true, choices: TAG_BITS },
  { flags: '--aad <hex>', description: 'additional authenticated data, hexadecimal' },
] as const satisfies readonly OptionSpec[]
const gcmInput = z.object({ tagLengthBits, aad: hexadecimal.optional() })

const hashFlags = [
  { flags: '--hash-function <hash>', description: 'the hash function', required: true, choices: HASHES },
  {
    flags: '--mgf <mgf>',
    description: 'the mask generation function; of the same hash',
    required: true,
    choices: HASHES.map((hash) => `mgf1-${hash}`),
  },
] as const satisfies readonly OptionSpec[]
const hashInput = z.object({
  hashFunction: z.enum(HASHES),
  mgf: z
    .enum(HASHES.map((hash) => `mgf1-${hash}` as const))
    .transform((name) => HASHES.find((hash) => name === `mgf1-${hash}`) ?? 'sha256'),
})

function plain<Name extends 'aes-no-pad' | 'aes-pkcs5-pad' | 'aes-zero-pad' | 'rsa-pkcs'>(name: Name, title: string) {
  const mechanism = z.object({}).transform(() => ({ name }))
  return { name, title, flags: [], unwrapFlags: [], wrap: mechanism, unwrap: mechanism }
}

function hashed<Name extends 'rsa-aes' | 'rsa-oaep'>(name: Name, title: string) {
  const mechanism = hashInput.transform(({ hashFunction: hash, mgf }) => ({ name, hash, mgf }))
  return { name, title, flags: hashFlags, unwrapFlags: [], wrap: mechanism, unwrap: mechanism }
}

const ofGcm = <Name extends 'aes-gcm' | 'cloudhsm-aes-gcm'>(
  name: Name,
  { tagLengthBits: tagBits, aad }: z.output<typeof gcmInput>,
) => ({ name, tagBits, ...(aad && { aad }) })

const cloudhsmGcm = gcmInput.transform((input) => ofGcm('cloudhsm-aes-gcm', input))

export const WRAP_COMMANDS: readonly WrapCommand[] = [
  {
    name: 'aes-gcm',
    title: 'AES-GCM',
    flags: gcmFlags,
    unwrapFlags: [{ flags: '--iv <hex>', description: 'what the wrapping gave as iv, hexadecimal', required: true }],
    wrap: gcmInput.transform((input) => ofGcm('aes-gcm', input)),
    unwrap: gcmInput.extend({ iv: hexadecimal }).transform(({ iv, ...input }) => ({ ...ofGcm('aes-gcm', input), iv })),
  },
  plain('aes-no-pad', 'AES key wrap, no padding (RFC 3394)'),
  plain('aes-pkcs5-pad', 'AES key wrap, PKCS#5 padding'),
  plain('aes-zero-pad', 'AES key wrap, zero padding (RFC 5649)'),
  {
    name: 'cloudhsm-aes-gcm',
    title: 'AES-GCM, with the IV in front of the wrapped key',
    flags: gcmFlags,
    unwrapFlags: [],
    wrap: cloudhsmGcm,
    unwrap: cloudhsmGcm,
  },
  hashed('rsa-aes', 'a new AES key, which RSA-OAEP wraps'),
  hashed('rsa-oaep', 'RSA-OAEP'),
  plain('rsa-pkcs', 'RSAES-PKCS1-v1_5'),
]
