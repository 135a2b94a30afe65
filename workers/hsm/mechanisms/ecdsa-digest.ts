/**
 * ECDSA over a digest that the caller made. The one place that decides how: node:crypto signs only what it hashes itself
 * (Node 26 has no `signDigest`; nodejs/node PR 62345), so an audited library does it, loaded when first needed. Its
 * arithmetic is on BigInts: hardened against timing, not constant-time as OpenSSL's is.
 */
import type { KeyObject } from 'node:crypto'
import type { CurveName } from '../policy/modes.ts'

/** Bytes of a private scalar. */
const SCALAR_BYTES = { 'P-256': 32, 'P-384': 48 } as const satisfies Record<CurveName, number>

/** The digest is neither hashed again nor is s made small: what OpenSSL and PKCS#11 do. */
const AS_IS = { prehash: false, lowS: false } as const

async function curveArithmetic(curve: CurveName) {
  const { p256, p384 } = await import('@noble/curves/nist.js')
  return curve === 'P-256' ? p256 : p384
}

/** r||s. */
export async function signDigest(curve: CurveName, privateKey: KeyObject, digest: Uint8Array): Promise<Uint8Array> {
  const arithmetic = await curveArithmetic(curve)
  const scalar = scalarOf(privateKey, curve)
  try {
    return arithmetic.sign(digest, scalar, AS_IS)
  } finally {
    scalar.fill(0)
  }
}

/** `point` is uncompressed. */
export async function verifyDigest(
  curve: CurveName,
  point: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const arithmetic = await curveArithmetic(curve)
  try {
    return arithmetic.verify(signature, digest, point, AS_IS)
  } catch {
    // The library throws on what cannot be a signature at all, a wrong length for instance.
    return false
  }
}

/** The scalar behind SEQUENCE, INTEGER 1 and OCTET STRING of an ECPrivateKey (RFC 5915 §3). The caller wipes it. */
function scalarOf(privateKey: KeyObject, curve: CurveName): Buffer {
  const der = privateKey.export({ type: 'sec1', format: 'der' })
  const length = SCALAR_BYTES[curve]
  const at = der.indexOf(Buffer.from([0x02, 0x01, 0x01, 0x04, length])) + 5
  const scalar = Buffer.from(der.subarray(at, at + length))
  der.fill(0)
  return scalar
}
