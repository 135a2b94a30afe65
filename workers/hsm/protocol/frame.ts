/**
 * The frames that clients, peers and the control plane exchange with an HSM: a 4-byte big-endian length, then that
 * many bytes of msgpack.
 *
 * msgpack is used without extensions or records, so that any msgpack library reads it: maps with string keys, arrays,
 * strings, binaries, integers, floats, booleans, nil.
 */
import { Packr, Unpackr } from 'msgpackr'

/** Bytes of the largest frame that is accepted; a longer announced length closes the connection unread. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024

const LENGTH_BYTES = 4

const packr = new Packr({ useRecords: false, variableMapSize: true, mapsAsObjects: true })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true })

/** A frame that cannot be one: too long, or not msgpack. The connection it came on is to be closed. */
export class FrameError extends Error {}

/** The bytes of one frame. Throws FrameError when the message is larger than a frame may be. */
export function encodeFrame(message: unknown): Buffer {
  const body = packr.pack(message)
  if (body.length > MAX_FRAME_BYTES) throw new FrameError(`a frame of ${body.length} bytes exceeds ${MAX_FRAME_BYTES}`)
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + body.length)
  frame.writeUInt32BE(body.length, 0)
  body.copy(frame, LENGTH_BYTES)
  return frame
}

/** Cuts a byte stream into messages. Holds at most one incomplete frame. */
export class FrameDecoder {
  #chunks: Buffer[] = []
  #buffered = 0
  readonly #maxBytes: number

  constructor(maxBytes = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** Bytes held of a frame that is not complete yet. */
  get buffered(): number {
    return this.#buffered
  }

  /** The messages completed by this chunk, in order. Throws FrameError; the decoder is of no further use then. */
  push(chunk: Buffer): unknown[] {
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
    const messages: unknown[] = []
    for (let length = this.#announced(); length !== undefined; length = this.#announced()) {
      if (length > this.#maxBytes) throw new FrameError(`a frame of ${length} bytes exceeds ${this.#maxBytes}`)
      if (this.#buffered < LENGTH_BYTES + length) break
      messages.push(decodeBody(this.#take(LENGTH_BYTES + length).subarray(LENGTH_BYTES)))
    }
    return messages
  }

  #announced(): number | undefined {
    if (this.#buffered < LENGTH_BYTES) return undefined
    const first = this.#chunks[0]
    if (first !== undefined && first.length >= LENGTH_BYTES) return first.readUInt32BE(0)
    this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]?.readUInt32BE(0)
  }

  #take(bytes: number): Buffer {
    let first = this.#chunks[0] ?? Buffer.alloc(0)
    if (first.length < bytes) first = Buffer.concat(this.#chunks)
    else this.#chunks.shift()
    const rest = first.subarray(bytes)
    if (first.length === this.#buffered) this.#chunks = rest.length > 0 ? [rest] : []
    else if (rest.length > 0) this.#chunks.unshift(rest)
    this.#buffered -= bytes
    return first.subarray(0, bytes)
  }
}

function decodeBody(body: Buffer): unknown {
  try {
    return unpackr.unpack(body)
  } catch (cause) {
    throw new FrameError('a frame that is not msgpack', { cause })
  }
}
