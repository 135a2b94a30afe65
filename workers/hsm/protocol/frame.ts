/**
 * The frames that clients, peers and the control plane exchange with an HSM: a 4-byte big-endian length, then that
 * many bytes of msgpack.
 *
 * msgpack is used without extensions or records, so that any msgpack library reads it: maps with string keys, arrays,
 * strings, binaries, integers, floats, booleans, nil.
 */
import { Packr, RESERVE_START_SPACE, Unpackr } from 'msgpackr'

/** Bytes of the largest frame that is accepted; a longer announced length closes the connection unread. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024

/** Of the parameters of a client's request: members of one map, and maps and arrays inside each other. */
export const PARAMETER_LIMITS = { members: 64, depth: 8 } as const

/**
 * The same for clients before their login, who have little to say: reading msgpack of the longest takes a second, in which
 * the HSM does nothing else.
 */
export const MAX_FRAME_BYTES_BEFORE_LOGIN = 64 * 1024

const LENGTH_BYTES = 4

const packr = new Packr({ useRecords: false, variableMapSize: true, mapsAsObjects: true })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true })

/** A frame that cannot be one: too long, or not msgpack. The connection it came on is to be closed. */
export class FrameError extends Error {}

/** The bytes of one frame. Throws FrameError when the message is larger than a frame may be. */
export function encodeFrame(message: unknown): Buffer {
  const frame = packr.encode(message, RESERVE_START_SPACE | LENGTH_BYTES)
  const length = frame.length - LENGTH_BYTES
  if (length > MAX_FRAME_BYTES) throw new FrameError(`a frame of ${length} bytes exceeds ${MAX_FRAME_BYTES}`)
  frame.writeUInt32BE(length, 0)
  return frame
}

/** Cuts a byte stream into messages. Holds at most one incomplete frame. */
export class FrameDecoder {
  #chunks: Buffer[] = []
  #buffered = 0
  /** Bytes until something can be read: a length, or the whole frame of a length that is known. */
  #needed = LENGTH_BYTES
  /** Of frames whose length is read from now on. */
  maxBytes: number

  constructor(maxBytes = MAX_FRAME_BYTES) {
    this.maxBytes = maxBytes
  }

  /** Bytes held of a frame that is not complete yet. */
  get buffered(): number {
    return this.#buffered
  }

  /** The messages completed by this chunk, in order. Throws FrameError; the decoder is of no further use then. */
  push(chunk: Buffer): unknown[] {
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
    if (this.#buffered < this.#needed) return []
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#buffered)
    const messages: unknown[] = []
    let at = 0
    this.#needed = LENGTH_BYTES
    while (bytes.length - at >= this.#needed) {
      const start = at + LENGTH_BYTES
      const length = bytes.readUInt32BE(at)
      if (length > this.maxBytes) throw new FrameError(`a frame of ${length} bytes exceeds ${this.maxBytes}`)
      this.#needed = LENGTH_BYTES + length
      if (bytes.length - at < this.#needed) break
      messages.push(decodeBody(bytes.subarray(start, start + length)))
      at += this.#needed
      this.#needed = LENGTH_BYTES
    }
    this.#buffered = bytes.length - at
    this.#chunks = this.#buffered > 0 ? [bytes.subarray(at)] : []
    return messages
  }
}

function decodeBody(body: Buffer): unknown {
  try {
    return unpackr.unpack(body)
  } catch (cause) {
    throw new FrameError('a frame that is not msgpack', { cause })
  }
}
