/**
 * Sizes of keys: each rule once, with its standard. Requests are shaped by them (a client knows what it may ask for), the
 * table of what a cluster allows has them as a column (`policy/policy-table.ts`), and refusals quote them.
 */
import { z } from 'zod'
import { EC_CURVES, ML_DSA_PARAMETER_SETS, ML_KEM_PARAMETER_SETS } from './mechanisms.ts'

/** Bits or bytes; curves and parameter sets have names. */
export type KeySize = number | string

interface SizeRule {
  /** The keys, as a person calls them. */
  readonly keys: string
  /** What a size of them is. */
  readonly of: 'bits' | 'bytes' | 'curve' | 'parameter set'
  /** The whole rule, its standard in brackets at its end: what a refusal says. */
  readonly rule: string
}
/** From `min` to `max` in steps of `step`. */
interface SizeRange extends SizeRule {
  readonly min: number
  readonly max: number
  readonly step: number
}
interface SizeList extends SizeRule {
  readonly values: readonly KeySize[]
}
export type KeySizes = SizeRange | SizeList

/** Bytes (FIPS 197 §5). */
const AES_BYTES = [16, 24, 32] as const

/** Bits of an RSA modulus (data-plane reference §3.1). */
export const RSA_SIZES = {
  keys: 'RSA',
  of: 'bits',
  min: 2048,
  max: 4096,
  step: 256,
  rule: 'an RSA modulus has 2048 to 4096 bits in steps of 256 (FIPS 186-5 section 5.1; AWS CloudHSM user guide)',
} as const satisfies KeySizes

export const EC_SIZES = {
  keys: 'EC',
  of: 'curve',
  values: EC_CURVES,
  rule:
    `an EC key is on ${listed(EC_CURVES)}, and names it ` +
    '(NIST SP 800-186 section 3; SEC 2 section 2.4.1; RFC 5480 section 2.1.1.1; AWS CloudHSM user guide)',
} as const satisfies KeySizes

export const ED25519_SIZES = {
  keys: 'Ed25519',
  of: 'curve',
  values: ['Ed25519'],
  rule: 'an Edwards curve key is on Ed25519 (RFC 8032 section 5.1; AWS CloudHSM user guide)',
} as const satisfies KeySizes

export const AES_SIZES = {
  keys: 'AES',
  of: 'bytes',
  values: AES_BYTES,
  rule: 'a key of type aes has 16, 24 or 32 bytes (FIPS 197 section 5)',
} as const satisfies KeySizes

/** Three keys of eight bytes. */
export const DES3_SIZES = {
  keys: '3DES',
  of: 'bytes',
  values: [24],
  rule: 'a key of type des3 has 24 bytes (NIST SP 800-67 rev. 2 section 3)',
} as const satisfies KeySizes

/** Keys of HMAC too (data-plane reference §3.1). */
export const GENERIC_SIZES = {
  keys: 'generic secret',
  of: 'bytes',
  min: 1,
  max: 800,
  step: 1,
  rule:
    'a key of type generic-secret has 1 to 800 bytes ' +
    '(AWS CloudHSM user guide, Generate a generic secret with CloudHSM CLI)',
} as const satisfies KeySizes

/**
 * At least 112 bits, the least that NIST SP 800-131A allows. A KDF gives the same first bytes whatever length is asked
 * for: of one byte, then two, and so on, a longer key could be guessed byte by byte.
 */
export const DERIVED_SIZES = {
  keys: 'generic secret',
  of: 'bytes',
  min: 14,
  max: GENERIC_SIZES.max,
  step: 1,
  rule:
    'a derived key has 14 (112 bits, NIST SP 800-131A rev. 2 section 8) to 800 bytes ' +
    '(AWS CloudHSM user guide, Generate a generic secret with CloudHSM CLI)',
} as const satisfies KeySizes

export const ML_DSA_SIZES = {
  keys: 'ML-DSA',
  of: 'parameter set',
  values: ML_DSA_PARAMETER_SETS,
  rule: `an ML-DSA key is of ${listed(ML_DSA_PARAMETER_SETS)} (FIPS 204 section 4)`,
} as const satisfies KeySizes

export const ML_KEM_SIZES = {
  keys: 'ML-KEM',
  of: 'parameter set',
  values: ML_KEM_PARAMETER_SETS,
  rule: `an ML-KEM key is of ${listed(ML_KEM_PARAMETER_SETS)} (FIPS 203 section 8)`,
} as const satisfies KeySizes

export function hasSize(sizes: KeySizes, size: KeySize): boolean {
  if ('values' in sizes) return sizes.values.includes(size)
  const { min, max, step } = sizes
  return typeof size === 'number' && size >= min && size <= max && (size - min) % step === 0
}

/** What a refusal says: the size that was asked for, the rule, and where the rule is from. */
export const sizeRefusal = ({ rule }: KeySizes, size: KeySize): string => `not ${size}: ${rule}`

/** For people: `2048 to 4096 bits in steps of 256`, `16, 24 or 32 bytes`, `P-224 or P-256`. */
export function sizesText(sizes: KeySizes): string {
  const unit = sizes.of === 'bits' || sizes.of === 'bytes' ? ` ${sizes.of}` : ''
  if ('values' in sizes) return `${listed(sizes.values)}${unit}`
  return `${sizes.min} to ${sizes.max}${unit}${sizes.step === 1 ? '' : ` in steps of ${sizes.step}`}`
}

function listed(values: readonly KeySize[]): string {
  const last = values.at(-1) ?? ''
  return values.length < 2 ? `${last}` : `${values.slice(0, -1).join(', ')} or ${last}`
}

/** FIPS 186-5 §5.4. */
export const MIN_PUBLIC_EXPONENT = 65_537
export const EXPONENT_RULE =
  'an RSA public exponent is odd, at least 65537 and below 2^256 (FIPS 186-5 section 5.4; AWS CloudHSM user guide)'
/** What OpenSSL takes through node:crypto when it makes a pair. */
const MAX_NEW_EXPONENT = 0xffff_ffff
const NEW_EXPONENT_RULE =
  'a pair is made with a public exponent below 2^32; FIPS 186-5 section 5.4 allows up to 2^256, and such keys are imported'

type Refusal = (given: number) => string

/** The first of a number's checks that fails is the only one that is told. */
const check = (refusal: Refusal) => ({
  abort: true,
  error: ({ input }: { readonly input?: unknown }) => (typeof input === 'number' ? refusal(input) : undefined),
})

/** The shape of a size that a request asks for. */
function inRange(sizes: SizeRange) {
  const refusal = check((size) => sizeRefusal(sizes, size))
  const whole = z.number().int(refusal).min(sizes.min, refusal).max(sizes.max, refusal)
  return sizes.step === 1 ? whole : whole.refine((size) => hasSize(sizes, size), refusal)
}

export const modulusBits = inRange(RSA_SIZES)
export const genericSecretBytes = inRange(GENERIC_SIZES)
export const derivedBytes = inRange(DERIVED_SIZES)
export const aesBytes = z.literal(
  AES_BYTES,
  check((length) => sizeRefusal(AES_SIZES, length)),
)

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
