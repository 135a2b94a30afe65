/**
 * Strengths of digests and curves, and the one rule that compares them (data-plane reference §4.1). FIPS mode is an
 * algorithm policy of this software; it is not a certificate.
 */
import type { ClusterMode } from '../../../provider-schema/limits.ts'
import { HsmError } from '../protocol/errors.ts'
import { type EC_CURVES, HASHES, type HashName } from '../protocol/mechanisms.ts'
import { rowOf } from './mechanism-policy.ts'

/** Bits of security of a digest in a signature: NIST SP 800-57 part 1 rev. 5, table 3. SHA-1 as AWS prints it. */
export const DIGEST_STRENGTH = {
  sha1: 80,
  sha224: 112,
  sha256: 128,
  sha384: 192,
  sha512: 256,
} as const satisfies Record<HashName, number>

/** Bits of security of a curve for ECDSA: NIST SP 800-57 part 1 rev. 5, table 2; secp256k1 by its order. */
export const CURVE_STRENGTH = {
  'P-224': 112,
  'P-256': 128,
  'P-384': 192,
  'P-521': 256,
  secp256k1: 128,
} as const satisfies Record<CurveName, number>

/** A curve that ECDSA signs on. */
export type CurveName = (typeof EC_CURVES)[number]

/** Whether the table has the rule. */
const COMPARED = rowOf('ecdsa', 'sign').fipsDigests === 'at least as strong as the key'

/** What FIPS mode refuses to sign with ECDSA: curves and hashes weaker than they. Looked up at every signature. */
const WEAK: Readonly<Record<CurveName, ReadonlySet<HashName>>> = {
  'P-224': weakerThan('P-224'),
  'P-256': weakerThan('P-256'),
  'P-384': weakerThan('P-384'),
  'P-521': weakerThan('P-521'),
  secp256k1: weakerThan('secp256k1'),
}

function weakerThan(curve: CurveName): ReadonlySet<HashName> {
  return new Set(HASHES.filter((hash) => COMPARED && DIGEST_STRENGTH[hash] < CURVE_STRENGTH[curve]))
}

/**
 * In FIPS mode an ECDSA signature needs a digest at least as strong as the curve (FIPS 186-5 §6.1.1). Throws
 * MechanismInvalid in AWS's words. Verifying is not restricted.
 */
export function requireEcdsaDigest(mode: ClusterMode, hash: HashName, curve: CurveName): void {
  if (mode !== 'FIPS' || !WEAK[curve].has(hash)) return
  throw new HsmError(
    'MechanismInvalid',
    `invalid mechanism: Digest security strength (${DIGEST_STRENGTH[hash]}) is weaker than the key security strength ` +
      `(${CURVE_STRENGTH[curve]}); in FIPS mode ECDSA needs a hash as strong as the curve (FIPS 186-5 section 6.1.1)`,
  )
}
