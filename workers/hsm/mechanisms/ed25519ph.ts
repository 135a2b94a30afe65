/**
 * Ed25519ph (RFC 8032 §5.1) over the SHA-512 digest of a message. OpenSSL does it where it can be reached
 * (`openssl.ts`): node:crypto has no prehashed variant. Else an audited library, whose arithmetic is on BigInts:
 * hardened against timing, not constant-time.
 */
import { type KeyObject } from 'node:crypto'
import { ED25519_SPKI_PREFIX } from './curves.ts'
import { openssl } from './openssl.ts'

/** PrivateKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410 §7). */
const PKCS8_PREFIX_BYTES = 16

export function signEd25519ph(privateKey: KeyObject, digest: Uint8Array): Uint8Array | Promise<Uint8Array> {
  return openssl()?.sign('ED25519ph', privateKey, digest) ?? signByLibrary(privateKey, digest)
}

export function verifyEd25519ph(
  publicKey: KeyObject,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean | Promise<boolean> {
  return openssl()?.verify('ED25519ph', publicKey, digest, signature) ?? verifyByLibrary(publicKey, digest, signature)
}

export async function signByLibrary(privateKey: KeyObject, digest: Uint8Array): Promise<Uint8Array> {
  const scheme = await overDigests()
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  try {
    return scheme.sign(digest, pkcs8.subarray(PKCS8_PREFIX_BYTES, PKCS8_PREFIX_BYTES + 32))
  } finally {
    pkcs8.fill(0)
  }
}

export async function verifyByLibrary(
  publicKey: KeyObject,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const scheme = await overDigests()
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  try {
    return scheme.verify(signature, digest, spki.subarray(ED25519_SPKI_PREFIX.length), { zip215: false })
  } catch {
    // The library throws on what cannot be a signature at all, a wrong length for instance.
    return false
  }
}

/** The library's Ed25519ph hashes the message; this one takes the digest. */
async function overDigests() {
  const [{ ed25519 }, { eddsa }, { sha512 }] = await Promise.all([
    import('@noble/curves/ed25519.js'),
    import('@noble/curves/abstract/edwards.js'),
    import('@noble/hashes/sha2.js'),
  ])
  return eddsa(ed25519.Point, sha512, { adjustScalarBytes: clamp, domain: dom2, zip215: false })
}

/** RFC 8032 §5.1.5. */
function clamp(scalar: Uint8Array): Uint8Array {
  const bytes = Buffer.from(scalar)
  bytes.writeUInt8(bytes.readUInt8(0) & 248, 0)
  bytes.writeUInt8((bytes.readUInt8(31) & 127) | 64, 31)
  return Uint8Array.from(bytes)
}

/** RFC 8032 §2: "SigEd25519 no Ed25519 collisions", 1 for the prehashed variant, an empty context. */
const dom2 = (data: Uint8Array) =>
  Uint8Array.from(Buffer.concat([Buffer.from('SigEd25519 no Ed25519 collisions'), Buffer.from([1, 0]), data]))
