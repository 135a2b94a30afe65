/**
 * Sizes of keys and their parameters: the rules in words, each with its standard, and the shapes of requests that ask for
 * them. A key that comes from outside is held to the same rules by `policy/key-policy.ts`.
 */
import { z } from 'zod'

/** Bits of an RSA modulus (data-plane reference §3.1; FIPS 186-5 §5.1 asks for 2048 at least). */
export const MODULUS_BITS = { min: 2048, max: 4096, step: 256 } as const
const MODULUS_RULE =
  'an RSA modulus has 2048 to 4096 bits in steps of 256 (FIPS 186-5 section 5.1; AWS CloudHSM user guide)'

/** FIPS 186-5 §5.4. */
export const MIN_PUBLIC_EXPONENT = 65_537
export const EXPONENT_RULE =
  'an RSA public exponent is odd, at least 65537 and below 2^256 (FIPS 186-5 section 5.4; AWS CloudHSM user guide)'
/** What OpenSSL takes through node:crypto when it makes a pair. */
const MAX_NEW_EXPONENT = 0xffff_ffff
const NEW_EXPONENT_RULE =
  'a pair is made with a public exponent below 2^32; FIPS 186-5 section 5.4 allows up to 2^256, and such keys are imported'

/** Bytes of secret keys by type (data-plane reference §3.1). */
export const SECRET_LENGTH = {
  aes: { bytes: '16, 24 or 32 bytes', source: 'FIPS 197 section 5' },
  des3: { bytes: '24 bytes', source: 'NIST SP 800-67 rev. 2 section 3' },
  'generic-secret': {
    bytes: '1 to 800 bytes',
    source: 'AWS CloudHSM user guide, Generate a generic secret with CloudHSM CLI',
  },
} as const
export type SecretType = keyof typeof SECRET_LENGTH
export const GENERIC_SECRET_BYTES = { min: 1, max: 800 } as const

/** What a refusal says: the size that was asked for, the rule, and where the rule is from. */
export const modulusRefusal = (bits: number) => `not ${bits}: ${MODULUS_RULE}`

export function secretLengthRefusal(type: SecretType, length: number): string {
  const { bytes, source } = SECRET_LENGTH[type]
  return `not ${length}: a key of type ${type} has ${bytes} (${source})`
}

/**
 * Bytes of the shortest derived key: 112 bits, the least that NIST SP 800-131A allows. A KDF gives the same first bytes
 * whatever length is asked for: of one byte, then two, and so on, a longer key could be guessed byte by byte.
 */
export const MIN_DERIVED_BYTES = 14

type Refusal = (given: number) => string

/** The first of a number's checks that fails is the only one that is told. */
const check = (refusal: Refusal) => ({
  abort: true,
  error: ({ input }: { readonly input?: unknown }) => (typeof input === 'number' ? refusal(input) : undefined),
})

const modulus = check(modulusRefusal)
export const modulusBits = z
  .number()
  .int(modulus)
  .min(MODULUS_BITS.min, modulus)
  .max(MODULUS_BITS.max, modulus)
  .refine((bits) => bits % MODULUS_BITS.step === 0, modulus)

const exponent = check(() => EXPONENT_RULE)
export const publicExponent = z
  .number()
  .int(exponent)
  .min(MIN_PUBLIC_EXPONENT, exponent)
  .max(
    MAX_NEW_EXPONENT,
    check(() => NEW_EXPONENT_RULE),
  )
  .refine((e) => e % 2 === 1, exponent)

export const aesBytes = z.union(
  [z.literal(16), z.literal(24), z.literal(32)],
  check((length) => secretLengthRefusal('aes', length)),
)

const generic = check((length) => secretLengthRefusal('generic-secret', length))
export const genericSecretBytes = z
  .number()
  .int(generic)
  .min(GENERIC_SECRET_BYTES.min, generic)
  .max(GENERIC_SECRET_BYTES.max, generic)

const derived = check(
  (length) =>
    `not ${length}: a derived key has ${MIN_DERIVED_BYTES} (112 bits, NIST SP 800-131A rev. 2 section 8) to ` +
    `${GENERIC_SECRET_BYTES.max} bytes (${SECRET_LENGTH['generic-secret'].source})`,
)
export const derivedBytes = z
  .number()
  .int(derived)
  .min(MIN_DERIVED_BYTES, derived)
  .max(GENERIC_SECRET_BYTES.max, derived)
