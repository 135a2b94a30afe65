/**
 * DER (ITU-T X.690): as much as it takes to write a certificate request or a certificate and to find a part of one.
 *
 * An HSM makes three such objects in its life. A general X.509 library costs 90 ms and 18 MiB to load (measured with
 * @peculiar/x509 2.2), which every HSM would pay at its first start; checking certificates is node:crypto's work anyway.
 */

const CONSTRUCTED = 0x20
const CONTEXT = 0x80

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x10 | CONSTRUCTED,
  set: 0x11 | CONSTRUCTED,
} as const

/** One element: tag, length, content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = trimmed(body.length)
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body])
}

export const sequence = (...content: readonly Uint8Array[]) => element(TAG.sequence, ...content)
export const set = (...content: readonly Uint8Array[]) => element(TAG.set, ...content)
/** `[number]` of a context, holding whole elements. */
export const explicit = (number: number, ...content: readonly Uint8Array[]) =>
  element(CONTEXT | CONSTRUCTED | number, ...content)
/** `[number]` of a context, instead of the tag that the content would have. */
export const implicit = (number: number, content: Uint8Array) => element(CONTEXT | number, content)
export const octetString = (content: Uint8Array) => element(TAG.octetString, content)
export const boolean = (value: boolean) => element(TAG.boolean, Buffer.from([value ? 0xff : 0]))

/** A non-negative integer from its big-endian bytes, or from a number below 2^32. */
export function integer(value: Uint8Array | number): Buffer {
  const bytes = typeof value === 'number' ? trimmed(value) : Buffer.from(value)
  const start = bytes.findIndex((byte) => byte !== 0)
  const magnitude = start < 0 ? Buffer.from([0]) : bytes.subarray(start)
  const sign = (magnitude[0] ?? 0) >= 0x80 ? Buffer.from([0]) : Buffer.alloc(0)
  return element(TAG.integer, sign, magnitude)
}

export function bitString(content: Uint8Array, unusedBits = 0): Buffer {
  return element(TAG.bitString, Buffer.from([unusedBits]), content)
}

/** An object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(0x80 | (left & 0x7f))
    return digits
  })
  return element(TAG.oid, Buffer.from(bytes))
}

/** PrintableString where the characters allow it, as most software writes names, else UTF8String. */
export function text(value: string): Buffer {
  const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)
  return element(printable ? TAG.printableString : TAG.utf8String, Buffer.from(value))
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, '')
  if (at.getUTCFullYear() < 2050) return element(TAG.utcTime, Buffer.from(digits.slice(2)))
  return element(TAG.generalizedTime, Buffer.from(digits))
}

export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** Tag and length included. */
  readonly whole: Buffer
}

/** The elements that lie one after another in some bytes. Throws RangeError when they are not DER. */
export function elements(bytes: Buffer): Element[] {
  const found: Element[] = []
  for (let at = 0; at < bytes.length;) {
    const tag = bytes.readUInt8(at)
    let length = bytes.readUInt8(at + 1)
    let start = at + 2
    if (length >= 0x80) {
      const digits = length & 0x7f
      if (digits < 1 || digits > 4) throw new RangeError('a DER length of no or too many digits')
      length = bytes.readUIntBE(start, digits)
      start += digits
    }
    const end = start + length
    if (end > bytes.length) throw new RangeError('a DER element that ends behind its surroundings')
    found.push({ tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) })
    at = end
  }
  return found
}

function trimmed(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  const start = bytes.findIndex((byte) => byte !== 0)
  return bytes.subarray(start < 0 ? 3 : start)
}
