/**
 * DER (X.690), as much of it as certificates and certificate requests need.
 *
 * Written out rather than taken from @peculiar/x509, which needs a global Reflect polyfill and costs every process that
 * issues one certificate 85-130 ms and 25 MB to load. What is encoded here is signed by node:crypto and, in the tests,
 * read by OpenSSL.
 */

/** Tags of the universal types in use; `| 0x20` is already in those that are always constructed. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** One element: tag, length, contents. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.from([tag]), lengthOctets(length), ...contents])
}

function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const digits = Buffer.alloc(4)
  digits.writeUInt32BE(length)
  const significant = digits.subarray(digits.findIndex((byte) => byte !== 0))
  return Buffer.concat([Buffer.from([0x80 | significant.length]), significant])
}

export const sequence = (...contents: readonly Uint8Array[]) => element(TAG.sequence, ...contents)
export const set = (...contents: readonly Uint8Array[]) => element(TAG.set, ...contents)
export const octetString = (...contents: readonly Uint8Array[]) => element(TAG.octetString, ...contents)
export const utf8String = (text: string) => element(TAG.utf8String, Buffer.from(text))
export const boolean = (value: boolean) => element(TAG.boolean, Buffer.from([value ? 0xff : 0]))
/** A constructed element of the context class: `[n] EXPLICIT`, or an implicit SEQUENCE. */
export const context = (n: number, ...contents: readonly Uint8Array[]) => element(0xa0 | n, ...contents)
/** A primitive element of the context class: an implicit string. */
export const contextPrimitive = (n: number, content: Uint8Array) => element(0x80 | n, content)

/** A number that is not negative, from its big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0)
  const significant = start < 0 ? Buffer.from([0]) : bytes.subarray(start)
  const negative = ((significant[0] ?? 0) & 0x80) !== 0
  return element(TAG.integer, negative ? Buffer.concat([Buffer.from([0]), significant]) : significant)
}

/** `unused`: bits at the end that do not count. */
export const bitString = (bytes: Uint8Array, unused = 0) => element(TAG.bitString, Buffer.from([unused]), bytes)

/** An object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return element(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(arc: number): number[] {
  const digits = [arc & 0x7f]
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left & 0x7f) | 0x80)
  return digits
}

/** To the second, UTC; UTCTime before 2050 and GeneralizedTime after (RFC 5280 §4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050
    ? element(TAG.utcTime, Buffer.from(digits.slice(2)))
    : element(TAG.generalizedTime, Buffer.from(digits))
}

/** One element as it was read. */
export interface DerNode {
  readonly tag: number
  /** Without tag and length. */
  readonly content: Buffer
  /** With tag and length. */
  readonly whole: Buffer
}

/** What was read is not DER, or not what was expected there. */
export class DerError extends Error {}

/** The elements that a buffer consists of. Throws DerError when it does not consist of whole elements. */
export function readElements(bytes: Buffer): DerNode[] {
  const nodes: DerNode[] = []
  for (let at = 0; at < bytes.length;) {
    const node = readAt(bytes, at)
    nodes.push(node)
    at += node.whole.length
  }
  return nodes
}

function readAt(bytes: Buffer, at: number): DerNode {
  const tag = bytes[at]
  const first = bytes[at + 1]
  if (tag === undefined || first === undefined) throw new DerError('an element is cut off')
  const digits = first < 0x80 ? 0 : first & 0x7f
  if (first === 0x80 || digits > 3 || at + 2 + digits > bytes.length) throw new DerError('a length is malformed')
  const length = digits === 0 ? first : bytes.readUIntBE(at + 2, digits)
  const start = at + 2 + digits
  if (start + length > bytes.length) throw new DerError('an element is cut off')
  return { tag, content: bytes.subarray(start, start + length), whole: bytes.subarray(at, start + length) }
}

/** The only element in a buffer, which must have this tag. */
export function readOne(bytes: Buffer, tag: number): DerNode {
  const [node, more] = readElements(bytes)
  if (node?.tag !== tag || more) throw new DerError(`expected one element with tag ${tag}`)
  return node
}

/** Contents of a PEM block with this label. Throws DerError when there is none. */
export function fromPem(pem: string, label: string): Buffer {
  const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(pem)
  if (match?.[1] === undefined) throw new DerError(`there is no ${label} in PEM`)
  return Buffer.from(match[1], 'base64')
}

/** Ends in a newline. */
export function toPem(bytes: Buffer, label: string): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
