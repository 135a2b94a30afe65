/** The signature mechanisms as `crypto sign` and `crypto verify` call them: the same flags for both. */
import { z } from 'zod'
import { HASHES, type SignMechanism } from '../../../workers/hsm/protocol/mechanisms.ts'
import type { OptionSpec } from '../command.ts'
import { messageInput } from './message.ts'

const pssInput = messageInput.extend({
  mgf: z
    .enum(HASHES.map((hash) => `mgf1-${hash}` as const))
    .transform((name) => HASHES.find((hash) => name === `mgf1-${hash}`) ?? 'sha256'),
  saltLength: z.coerce.number().int().min(0).max(512),
})
type PssInput = z.output<typeof pssInput>
type PlainInput = z.output<typeof messageInput>

export const rsaPkcs = {
  name: 'rsa-pkcs',
  title: 'RSASSA-PKCS1-v1_5',
  flags: [],
  input: messageInput,
  mechanism: ({ hashFunction: hash, dataType }: PlainInput): SignMechanism => ({ name: 'rsa-pkcs', hash, dataType }),
} as const

export const rsaPkcsPss = {
  name: 'rsa-pkcs-pss',
  title: 'RSASSA-PSS',
  flags: [
    {
      flags: '--mgf <mgf>',
      description: 'the mask generation function; of the same hash',
      required: true,
      choices: HASHES.map((hash) => `mgf1-${hash}`),
    },
    { flags: '--salt-length <bytes>', description: 'the length of the salt in bytes', required: true },
  ] satisfies readonly OptionSpec[],
  input: pssInput,
  mechanism: ({ hashFunction: hash, mgf, saltLength, dataType }: PssInput): SignMechanism => ({
    name: 'rsa-pkcs-pss',
    hash,
    mgf,
    saltLength,
    dataType,
  }),
} as const

/** Signatures are r||s, not DER (data-plane §2.2). */
export const ecdsa = {
  name: 'ecdsa',
  title: 'ECDSA',
  flags: [],
  input: messageInput,
  mechanism: ({ hashFunction: hash, dataType }: PlainInput): SignMechanism => ({ name: 'ecdsa', hash, dataType }),
} as const
