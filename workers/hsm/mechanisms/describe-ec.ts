/** What keys on elliptic curves say of themselves. */
import type { CurveId } from '../protocol/mechanisms.ts'
import { CURVE_ID, ED25519_SPKI_PREFIX, pointBytes, type KeyCurve } from './curves.ts'
import { hexadecimal, type DescribePair } from './describe.ts'

/** `id` is the name of the curve that its maker chose; P-256 has two. Ed25519's point is its 32 bytes (RFC 8032). */
export function describeEc(curve: KeyCurve, id: CurveId = CURVE_ID[curve]): DescribePair {
  return (spki) => {
    const point = spki.subarray(curve === 'Ed25519' ? ED25519_SPKI_PREFIX.length : spki.length - pointBytes(curve))
    return {
      attributes: { 'key-type': 'ec', 'ec-point': hexadecimal(point), curve: id },
      publicLength: point.length,
    }
  }
}
