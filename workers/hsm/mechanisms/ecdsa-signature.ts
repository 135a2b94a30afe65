/** The two forms of an ECDSA signature: r||s as PKCS#11 and AWS's tools have it, DER as OpenSSL does. */

/**
 * r||s from SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 §2.2.3), which is shorter than 128 bytes but on P-521. Node's own
 * conversion (`dsaEncoding`) costs 8% of a P-256 signature.
 */
export function fixedWidth(der: Uint8Array, width: number): Uint8Array {
  const signature = Buffer.allocUnsafe(2 * width)
  const r = (der[1] ?? 0) < 0x80 ? 4 : 5
  const rEnd = r + (der[r - 1] ?? 0)
  putInteger(der, r, rEnd, signature, 0, width)
  putInteger(der, rEnd + 2, der.length, signature, width, 2 * width)
  return signature
}

/** An integer, with or without its leading zero, led by zeros. A loop, since the two copies are of some thirty bytes. */
function putInteger(der: Uint8Array, from: number, to: number, target: Uint8Array, start: number, end: number): void {
  let at = end
  for (let i = to - 1; i >= from && at > start; i -= 1) target[--at] = der[i] ?? 0
  while (at > start) target[--at] = 0
}

/** SEQUENCE { r INTEGER, s INTEGER } from r||s, each `width` bytes. */
export function derOf(signature: Uint8Array, width: number): Buffer {
  const r = integer(signature.subarray(0, width))
  const s = integer(signature.subarray(width))
  return tagged(0x30, Buffer.concat([r, s]))
}

function integer(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0)
  const value = start === -1 ? Buffer.alloc(1) : Buffer.from(bytes.subarray(start))
  return tagged(0x02, value.readUInt8(0) < 0x80 ? value : Buffer.concat([Buffer.alloc(1), value]))
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  return Buffer.concat([Buffer.from(length < 0x80 ? [tag, length] : [tag, 0x81, length]), content])
}
