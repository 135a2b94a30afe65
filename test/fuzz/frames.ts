/**
 * What anybody may send to a port of an HSM. For all bytes: the decoder gives messages or throws FrameError, the same
 * however the bytes are cut, and whatever others sent before; a message is a request or is not; parameters are taken or refused. Nothing else, and nothing
 * that takes longer than an honest request.
 */
import assert from 'node:assert/strict'
import { clientOperations } from '../../workers/hsm/protocol/client-operations.ts'
import { requestEnvelope, type OperationTable } from '../../workers/hsm/protocol/envelope.ts'
import { encodeFrame, FrameDecoder, FrameError, MAX_FRAME_BYTES } from '../../workers/hsm/protocol/frame.ts'
import { managementOperations } from '../../workers/hsm/protocol/management-operations.ts'
import { peerOperations } from '../../workers/hsm/replication/peer-operations.ts'
import type { FuzzTarget } from './target.ts'

const TABLES: readonly OperationTable[] = [clientOperations, managementOperations, peerOperations]
const HANDLE = '0x0123456789abcdef'
const DATA = Buffer.from('pay 100 EUR')
/** Milliseconds of processor time that no small input may take; a hundred times what an honest one does. */
const SLOW_MS = 250

const REQUESTS: readonly { op: string; params: object }[] = [
  { op: 'hello', params: { client: 'fuzz', protocol: 1 } },
  { op: 'login', params: { username: 'alice', role: 'crypto-user', password: 'password-1' } },
  { op: 'key-generate-aes', params: { lengthBytes: 32, attributes: { label: 'a', id: '0x01', encrypt: true } } },
  { op: 'key-find', params: { filter: { attributes: { label: 'a', encrypt: true } }, offset: 0, limit: 10 } },
  { op: 'sign', params: { handle: HANDLE, mechanism: { name: 'rsa-pkcs', hash: 'sha256' }, data: DATA } },
  { op: 'encrypt', params: { handle: HANDLE, mechanism: { name: 'aes-gcm', aad: DATA, tagBits: 128 }, data: DATA } },
  { op: 'membership', params: { document: DATA, signature: DATA, chain: 'pem' } },
  {
    op: 'push',
    params: { records: [{ path: 'keys/1', version: { counter: 1, hsmId: 'hsm-1' }, deleted: false, sealed: DATA }] },
  },
]

/** Every small number: extensions of msgpack give some of them another meaning. */
const AFTERWARDS = encodeFrame({ id: 64, op: 'hello', params: { numbers: Array.from({ length: 128 }, (_, i) => i) } })
const READ_AFTERWARDS = decoded([AFTERWARDS])

export const frames: FuzzTarget = {
  name: 'frames',
  seeds: () => {
    const each = REQUESTS.map((request, id) => encodeFrame({ id, ...request }))
    return [...each, Buffer.concat(each)]
  },
  run(input) {
    const began = process.threadCpuUsage()
    const whole = decoded([input])
    assert.deepEqual(decoded(cut(input)), whole, 'how the bytes are cut makes a difference')
    for (const message of whole.messages) offer(message)
    assert.deepEqual(decoded([AFTERWARDS]), READ_AFTERWARDS, 'it changes how what others send is read')
    const { user, system } = process.threadCpuUsage(began)
    const ms = (user + system) / 1000
    assert.ok(ms < SLOW_MS, `${input.length} bytes took ${Math.round(ms)} ms`)
  },
}

function decoded(pieces: readonly Buffer[]): { messages: unknown[]; refused: boolean } {
  const decoder = new FrameDecoder()
  const messages: unknown[] = []
  try {
    for (const piece of pieces) messages.push(...decoder.push(piece))
  } catch (error) {
    if (!(error instanceof FrameError)) throw error
    // What came before the bad frame in the same piece is dropped with the connection.
    return { messages: [], refused: true }
  }
  assert.ok(decoder.buffered < 4 + MAX_FRAME_BYTES)
  return { messages, refused: false }
}

/** Into pieces of lengths that the bytes themselves decide. */
function cut(input: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < input.length;) {
    const length = 1 + ((input[at] ?? 0) % 23)
    pieces.push(input.subarray(at, at + length))
    at += length
  }
  return pieces
}

/** Every table looks at it: a message meant for one port may come to another. */
function offer(message: unknown): void {
  const envelope = requestEnvelope.safeParse(message)
  if (!envelope.success) return
  for (const table of TABLES) {
    // A name like `constructor` is not an operation.
    const spec = Object.hasOwn(table, envelope.data.op) ? table[envelope.data.op] : undefined
    spec?.params.safeParse(envelope.data.params)
  }
}
