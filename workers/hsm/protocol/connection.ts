/**
 * The calling side of a connection to an HSM: TLS 1.3, pipelined requests, replies in any order.
 * Clients, peers and job workers use this one; what differs is the table of operations and the TLS credentials.
 */
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { z } from 'zod'
import { eventEnvelope, replyEnvelope, type OperationTable, type ParamsOf, type ResultOf } from './envelope.ts'
import { ConnectionLost, HsmError } from './errors.ts'
import { encodeFrame, FrameDecoder } from './frame.ts'

export interface ConnectOptions<Table extends OperationTable> {
  readonly host: string
  readonly port: number
  readonly operations: Table
  /** Trust and credentials. Host names are not compared: an HSM is known by who signed its certificate. */
  readonly tls: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'allowPartialTrustChain'>
  /** Looks at the peer once the handshake is done; what it throws refuses the connection. */
  readonly verifyPeer?: (socket: TLSSocket) => void
  readonly connectTimeoutMs?: number
  /**
   * Of each call, unless the call says otherwise: how long the oldest one may wait without an answer. What stands in a
   * queue behind calls that are being answered waits for as long as that takes.
   */
  readonly callTimeoutMs?: number
  readonly onEvent?: (event: string, data: unknown) => void
  /** Gives up the connecting when it fires; a connection once made is its owner's to close. */
  readonly signal?: AbortSignal
}

export interface CallOptions {
  /** From now, whatever else is under way. */
  readonly timeoutMs?: number
}

interface Pending {
  readonly result: z.ZodType
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  timer: NodeJS.Timeout
}

/** One live connection. When it breaks every waiting call fails with ConnectionLost and `closed` resolves. */
export class Connection<Table extends OperationTable> {
  /** Resolves, never rejects, when the connection is over, with why if it was not asked for. */
  readonly closed: Promise<Error | undefined>
  readonly #socket: TLSSocket
  readonly #options: ConnectOptions<Table>
  readonly #pending = new Map<number, Pending>()
  readonly #decoder = new FrameDecoder()
  #nextId = 0
  /** The oldest call that waits, and since when it has been the oldest. Ids ascend. */
  #oldestId = 0
  #oldestSince = 0
  #over: Error | undefined
  #closing = false

  constructor(socket: TLSSocket, options: ConnectOptions<Table>) {
    this.#socket = socket
    this.#options = options
    this.closed = new Promise((resolve) => {
      const end = (cause?: Error) => {
        if (this.#over !== undefined) return
        this.#over = new ConnectionLost(`the connection to ${options.host}:${options.port} is closed`, { cause })
        for (const call of this.#pending.values()) {
          clearTimeout(call.timer)
          call.reject(this.#over)
        }
        this.#pending.clear()
        resolve(this.#closing ? undefined : this.#over)
      }
      socket.on('error', end)
      socket.on('close', () => end())
    })
    socket.on('data', (chunk: Buffer | string) => this.#receive(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)))
  }

  get usable(): boolean {
    return this.#over === undefined && !this.#closing
  }

  /** Calls that wait for their reply. */
  get outstanding(): number {
    return this.#pending.size
  }

  /** Asks and waits. Throws HsmError when the HSM refuses, ConnectionLost when no answer can come any more. */
  call<Op extends keyof Table & string>(
    op: Op,
    params: ParamsOf<Table, Op>,
    { timeoutMs }: CallOptions = {},
  ): Promise<ResultOf<Table, Op>> {
    if (this.#over) return Promise.reject(this.#over)
    const spec = this.#options.operations[op]
    if (!spec) return Promise.reject(new HsmError('UnknownOperation', `no such operation: ${op}`))
    const id = this.#nextId
    this.#nextId = idAfter(id)
    return new Promise<unknown>((resolve, reject) => {
      const limitMs = timeoutMs ?? this.#options.callTimeoutMs ?? 30_000
      // A reply that does not come leaves the connection in doubt: it is given up, so that nobody waits on it again.
      const look = () => {
        const leftMs = timeoutMs === undefined ? this.#oldestSince + limitMs - performance.now() : 0
        if (leftMs > 0) pending.timer = setTimeout(look, Math.ceil(leftMs))
        else this.#socket.destroy(new ConnectionLost(`${op} got no answer from ${this.#options.host} in ${limitMs} ms`))
      }
      const pending: Pending = { result: spec.result, resolve, reject, timer: setTimeout(look, limitMs) }
      if (this.#pending.size === 0) this.#ageFrom(id)
      this.#pending.set(id, pending)
      try {
        this.#socket.write(encodeFrame({ id, op, params }))
      } catch (error) {
        this.#settle(id)?.reject(error instanceof Error ? error : new Error(String(error)))
      }
    }) as Promise<ResultOf<Table, Op>>
  }

  /** Ends the connection; calls that still wait fail. */
  async close(): Promise<void> {
    this.#closing = true
    this.#socket.destroy()
    await this.closed
  }

  #receive(chunk: Buffer): void {
    try {
      for (const message of this.#decoder.push(chunk)) this.#accept(message)
    } catch (cause) {
      this.#socket.destroy(new ConnectionLost('the HSM sent what is not a reply', { cause }))
    }
  }

  #accept(message: unknown): void {
    if (typeof message === 'object' && message !== null && 'event' in message) {
      const { event, data } = eventEnvelope.parse(message)
      this.#options.onEvent?.(event, data)
      return
    }
    const reply = replyEnvelope.parse(message)
    const call = this.#settle(reply.id)
    if (!call) return
    if ('error' in reply) return call.reject(new HsmError(reply.error.code, reply.error.message))
    const result = call.result.safeParse(reply.ok)
    if (result.success) call.resolve(result.data)
    else call.reject(new HsmError('Internal', 'the HSM answered with an unexpected shape', { cause: result.error }))
  }

  #settle(id: number): Pending | undefined {
    const call = this.#pending.get(id)
    if (!call) return undefined
    this.#pending.delete(id)
    if (id === this.#oldestId && this.#pending.size > 0) {
      let next = id
      // One after another: a map with many deleted entries is slow to say which is its first.
      while (!this.#pending.has(next)) next = idAfter(next)
      this.#ageFrom(next)
    }
    clearTimeout(call.timer)
    return call
  }

  #ageFrom(id: number): void {
    this.#oldestId = id
    this.#oldestSince = performance.now()
  }
}

const idAfter = (id: number) => (id + 1) % 0x1_0000_0000

/** Connects and shakes hands. Throws ConnectionLost when nobody answers, or the peer is not who it must be. */
export function openConnection<Table extends OperationTable>(
  options: ConnectOptions<Table>,
): Promise<Connection<Table>> {
  const { host, port, connectTimeoutMs = 5_000 } = options
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...options.tls,
      host,
      port,
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
      checkServerIdentity: () => undefined,
    })
    socket.setNoDelay(true)
    const abort = () => fail(new Error('given up'))
    const fail = (cause: Error) => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', abort)
      socket.destroy()
      reject(new ConnectionLost(`cannot connect to ${host}:${port}: ${cause.message}`, { cause }))
    }
    const timer = setTimeout(() => fail(new Error(`no answer in ${connectTimeoutMs} ms`)), connectTimeoutMs)
    options.signal?.addEventListener('abort', abort, { once: true })
    if (options.signal?.aborted) return abort()
    socket.once('error', fail)
    socket.once('secureConnect', () => {
      try {
        options.verifyPeer?.(socket)
      } catch (error) {
        return fail(error instanceof Error ? error : new Error(String(error)))
      }
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', abort)
      socket.removeListener('error', fail)
      resolve(new Connection(socket, options))
    })
  })
}
