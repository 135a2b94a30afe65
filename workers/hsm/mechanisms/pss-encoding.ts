/**
 * EMSA-PSS (RFC 8017 §9.1) for a digest that the caller made: node:crypto pads only what it hashes itself. The RSA
 * operation itself stays OpenSSL's.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { HashName } from '../protocol/mechanisms.ts'
import { DIGEST_BYTES } from './digest.ts'

export interface PssParams {
  readonly hash: HashName
  readonly saltLength: number
}

/** Bytes of the longest salt that fits a modulus; negative when even none does. */
export function longestSalt(modulusBits: number, hash: HashName): number {
  return Math.ceil((modulusBits - 1) / 8) - DIGEST_BYTES[hash] - 2
}

/** The block to exponentiate, as long as the modulus. `saltLength` is at most `longestSalt`. */
export function encodePss(digest: Uint8Array, { hash, saltLength }: PssParams, modulusBits: number): Buffer {
  const salt = randomBytes(saltLength)
  const h = hashOfPss(hash, digest, salt)
  const block = Buffer.alloc(Math.ceil(modulusBits / 8))
  const maskedBytes = block.length - h.length - 1
  const db = block.subarray(0, maskedBytes)
  db.writeUInt8(1, maskedBytes - salt.length - 1)
  salt.copy(db, maskedBytes - salt.length)
  applyMask(db, hash, h)
  clearTopBits(db, modulusBits)
  h.copy(block, maskedBytes)
  block.writeUInt8(0xbc, block.length - 1)
  return block
}

/** Whether a block that came out of the public key operation is an encoding of the digest. */
export function verifyPss(
  block: Uint8Array,
  digest: Uint8Array,
  { hash, saltLength }: PssParams,
  modulusBits: number,
): boolean {
  const encoded = Buffer.from(block)
  const hBytes = DIGEST_BYTES[hash]
  const maskedBytes = encoded.length - hBytes - 1
  if (encoded.length !== Math.ceil(modulusBits / 8) || saltLength > longestSalt(modulusBits, hash)) return false
  if (encoded.at(-1) !== 0xbc) return false
  const db = encoded.subarray(0, maskedBytes)
  const h = encoded.subarray(maskedBytes, maskedBytes + hBytes)
  if (((db[0] ?? 0) & ~topMask(modulusBits)) !== 0) return false
  applyMask(db, hash, h)
  clearTopBits(db, modulusBits)
  const padding = maskedBytes - saltLength - 1
  if (db.subarray(0, padding).some((byte) => byte !== 0) || db[padding] !== 1) return false
  return timingSafeEqual(h, hashOfPss(hash, digest, db.subarray(padding + 1)))
}

function hashOfPss(hash: HashName, digest: Uint8Array, salt: Uint8Array): Buffer {
  return createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest()
}

/** MGF1 with the same hash, RFC 8017 appendix B.2.1. */
function applyMask(target: Buffer, hash: HashName, seed: Uint8Array): void {
  const counter = Buffer.alloc(4)
  for (let at = 0, n = 0; at < target.length; n++) {
    counter.writeUInt32BE(n)
    for (const byte of createHash(hash).update(seed).update(counter).digest()) {
      if (at === target.length) break
      target.writeUInt8(target.readUInt8(at) ^ byte, at)
      at += 1
    }
  }
}

/** Bits of the first byte that the encoding may use: it is one bit shorter than the modulus. */
const topMask = (modulusBits: number) => 0xff >>> (8 * Math.ceil(modulusBits / 8) - (modulusBits - 1))

function clearTopBits(block: Buffer, modulusBits: number): void {
  block.writeUInt8(block.readUInt8(0) & topMask(modulusBits), 0)
}
