/**
 * ECDSA over a digest that the caller made. The one place that decides how: OpenSSL does it where it can be reached
 * (`openssl.ts`), since node:crypto signs only what it hashes itself; else an audited library, loaded when first needed.
 * The library's arithmetic is on BigInts: hardened against timing, not constant-time as OpenSSL's is.
 */
import type { KeyObject } from 'node:crypto'
import type { CurveName } from '../policy/modes.ts'
import { CURVE } from './curves.ts'
import { derOf, fixedWidth } from './ecdsa-signature.ts'
import { openssl } from './openssl.ts'

/** The digest is neither hashed again nor is s made small: what OpenSSL and PKCS#11 do. */
const AS_IS = { prehash: false, lowS: false } as const

async function curveArithmetic(curve: CurveName) {
  if (curve === 'secp256k1') return (await import('@noble/curves/secp256k1.js')).secp256k1
  if (curve === 'P-224') return p224()
  const { p256, p384, p521 } = await import('@noble/curves/nist.js')
  return { 'P-256': p256, 'P-384': p384, 'P-521': p521 }[curve]
}

/** FIPS 186-5 and SP 800-186 §3.2.1.2; the library brings the arithmetic but not this curve. */
async function p224() {
  const [{ ecdsa, weierstrass }, { sha224 }] = await Promise.all([
    import('@noble/curves/abstract/weierstrass.js'),
    import('@noble/hashes/sha2.js'),
  ])
  const p = 2n ** 224n - 2n ** 96n + 1n
  return ecdsa(
    weierstrass({
      p,
      a: p - 3n,
      b: 0xb4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4n,
      n: 0xffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3dn,
      Gx: 0xb70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21n,
      Gy: 0xbd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34n,
      h: 1n,
    }),
    sha224,
  )
}

/** r||s. */
export function signDigest(
  curve: CurveName,
  privateKey: KeyObject,
  digest: Uint8Array,
): Uint8Array | Promise<Uint8Array> {
  const der = openssl()?.sign('ECDSA', privateKey, digest)
  return der ? fixedWidth(der, CURVE[curve].bytes) : signByLibrary(curve, privateKey, digest)
}

export function verifyDigest(
  curve: CurveName,
  publicKey: KeyObject,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean | Promise<boolean> {
  const { bytes } = CURVE[curve]
  if (signature.length !== 2 * bytes) return false
  const native = openssl()
  return native
    ? native.verify('ECDSA', publicKey, digest, derOf(signature, bytes))
    : verifyByLibrary(curve, publicKey, digest, signature)
}

export async function signByLibrary(curve: CurveName, privateKey: KeyObject, digest: Uint8Array): Promise<Uint8Array> {
  const arithmetic = await curveArithmetic(curve)
  const scalar = scalarOf(privateKey, curve)
  try {
    return arithmetic.sign(digest, scalar, AS_IS)
  } finally {
    scalar.fill(0)
  }
}

export async function verifyByLibrary(
  curve: CurveName,
  publicKey: KeyObject,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const arithmetic = await curveArithmetic(curve)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  try {
    return arithmetic.verify(signature, digest, spki.subarray(CURVE[curve].spkiPrefix.length), AS_IS)
  } catch {
    // The library throws on what cannot be a signature at all, a number out of range for instance.
    return false
  }
}

/** The scalar behind SEQUENCE, INTEGER 1 and OCTET STRING of an ECPrivateKey (RFC 5915 §3). The caller wipes it. */
function scalarOf(privateKey: KeyObject, curve: CurveName): Buffer {
  const der = privateKey.export({ type: 'sec1', format: 'der' })
  const length = CURVE[curve].bytes
  const at = der.indexOf(Buffer.from([0x02, 0x01, 0x01, 0x04, length])) + 5
  const scalar = Buffer.from(der.subarray(at, at + length))
  der.fill(0)
  return scalar
}
