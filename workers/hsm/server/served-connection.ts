/** One connection of a port: cuts frames, starts requests in order of arrival, sends replies as they come. */
import type { TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import { type Answer, Later } from '../later.ts'
import type { ReplyEnvelope } from '../protocol/envelope.ts'
import { encodeFrame, FrameDecoder, FrameError, MAX_FRAME_BYTES } from '../protocol/frame.ts'
import type { Turns } from './turns.ts'

/** What a handler sees of the connection its request came on. */
export interface PortConnection<Context> {
  readonly context: Context
  readonly socket: TLSSocket
  /** IP address of the other side. */
  readonly remoteAddress: string
  /** Sends an event; nothing when the connection is over. A reader too slow for its events is cut off. */
  send(event: string, data: unknown): void
  /** From now on this connection may idle, and send long frames (someone logged in, a peer proved who it is). */
  trust(): void
  /** Takes `trust` back. */
  distrust(): void
  /** Cuts the connection off. */
  destroy(): void
}

/** A request envelope; its parameters are not looked at yet. */
export interface Request {
  readonly id: number
  readonly op: string
  readonly params: unknown
}

/** Performs one request: a reply at once, put off, or a promise of one. Never throws, never rejects. */
export type Dispatch<Context> = (request: Request, connection: PortConnection<Context>) => Answer<ReplyEnvelope>

interface Surroundings<Context> {
  readonly dispatch: Dispatch<Context>
  readonly limits: {
    readonly idleTimeoutMs: number
    readonly untrustedFrameBytes: number
    readonly bytesPerConnection: number
  }
  /** Told of every request that arrives (+1) and every one that is answered or given up (-1). */
  readonly onLoad: (change: number) => void
  readonly turns: Turns
  readonly log: Logger
  readonly port: string
}

interface Waiting {
  readonly message: unknown
  readonly bytes: number
}

interface PutOff {
  readonly reply: Later<ReplyEnvelope>
  readonly bytes: number
}

/** What a request costs at least, however short its frame: it also holds objects. */
const MIN_REQUEST_BYTES = 256
/**
 * How long requests of one connection may keep the event loop before others get their turn. A synchronous RSA-2048
 * signature takes 0.7 ms, an ECDSA one 0.03 ms.
 */
const TURN_MS = 2
/**
 * The same for work that was put off, which a turn does last: long enough for 32 RSA-2048 signatures in a row, which is 6%
 * more of them in a second than rows of 12 ms. It always does at least one.
 */
const ROW_MS = 28
/** Requests of one connection whose work is put off at a time. */
const MAX_ROW = 32
/**
 * How long replies may be held back while more requests of the same connection wait: each write costs a TLS record, a
 * system call, and as much again when the other side answers it with its next few requests: about 1 % of RSA-2048
 * signatures between 20 and 50 ms, 3 % between 2 and 20.
 */
const HOLD_MS = 40

export class ServedConnection<Context> implements PortConnection<Context> {
  readonly context: Context
  readonly socket: TLSSocket
  readonly remoteAddress: string
  readonly #surroundings: Surroundings<Context>
  readonly #decoder = new FrameDecoder()
  #queue: Waiting[] = []
  #queueHead = 0
  /** Bytes of requests in the queue, and of those begun but not answered. */
  #queued = 0
  #underWay = 0
  /** Prepared and not done yet. */
  #row: PutOff[] = []
  #outbox: Buffer[] = []
  #outboxBytes = 0
  /** When the oldest reply in the outbox came, by `performance.now()`. */
  #oldestReply = 0
  #unanswered = 0
  #turnScheduled = false
  #flushScheduled = false
  #inTurn = false
  #over = false

  constructor(socket: TLSSocket, context: Context, surroundings: Surroundings<Context>) {
    this.socket = socket
    this.context = context
    this.remoteAddress = socket.remoteAddress ?? ''
    this.#surroundings = surroundings
    this.distrust()
    socket.on('timeout', () => {
      if (this.#unanswered === 0) socket.destroy()
    })
    socket.on('drain', () => {
      if (!this.#turnScheduled) this.#turn()
    })
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
  }

  send(event: string, data: unknown): void {
    if (this.#over) return
    this.#post(encodeFrame({ event, data }))
    if (this.#unsent > this.#surroundings.limits.bytesPerConnection) this.socket.destroy()
  }

  trust(): void {
    this.socket.setTimeout(0)
    this.#decoder.maxBytes = MAX_FRAME_BYTES
  }

  distrust(): void {
    this.socket.setTimeout(this.#surroundings.limits.idleTimeoutMs)
    this.#decoder.maxBytes = this.#surroundings.limits.untrustedFrameBytes
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Sends what is ready and closes. Resolves when the connection is over, at the latest after half a second. */
  async end(): Promise<void> {
    if (this.#over) return
    const closed = Promise.withResolvers<undefined>()
    this.socket.once('close', () => closed.resolve(undefined))
    this.#flush()
    this.socket.end()
    const timer = setTimeout(() => this.socket.destroy(), 500)
    await closed.promise
    clearTimeout(timer)
  }

  /** Forgets what waits; requests under way run on, but their replies go nowhere. */
  abandon(): void {
    this.#over = true
    this.#surroundings.onLoad(this.#queueHead - this.#queue.length - this.#row.length)
    this.#queue = []
    this.#queueHead = 0
    this.#row = []
    this.#outbox = []
  }

  get #unsent(): number {
    return this.#outboxBytes + this.socket.writableLength
  }

  #receive(chunk: Buffer): void {
    if (this.#over) return
    const before = this.#decoder.buffered
    let messages: unknown[]
    try {
      messages = this.#decoder.push(chunk)
    } catch (error) {
      return this.#refuse(error)
    }
    if (messages.length > 0) {
      // Frames of one chunk share its bytes evenly: the budget needs their sum only.
      const bytes = Math.max((before + chunk.length - this.#decoder.buffered) / messages.length, MIN_REQUEST_BYTES)
      for (const message of messages) this.#queue.push({ message, bytes })
      this.#queued += bytes * messages.length
      this.#unanswered += messages.length
      this.#surroundings.onLoad(messages.length)
    }
    if (this.#turnScheduled) this.#regulate()
    else if (this.#queue.length - this.#queueHead === 1) this.#turn()
    else this.#askForTurn()
  }

  #askForTurn(): void {
    this.#turnScheduled = true
    this.#surroundings.turns.ask(() => this.#turn())
  }

  /**
   * Starts waiting requests until none is left, the budget is used up, or others must get their turn; then does what was
   * put off meanwhile.
   */
  #turn(): void {
    this.#turnScheduled = false
    // A handler that closes or writes may bring us back here.
    if (this.#over || this.#inTurn || this.socket.destroyed) return
    this.#inTurn = true
    const end = performance.now() + TURN_MS
    // Nothing is written during a turn.
    const written = this.socket.writableLength
    while (this.#row.length < MAX_ROW && this.#mayStart(written)) {
      const next = this.#queue[this.#queueHead]
      if (next === undefined) break
      this.#queueHead += 1
      this.#queued -= next.bytes
      this.#start(next)
      if (performance.now() >= end) break
    }
    const doneLong = this.#doRow()
    const again = this.#row.length > 0 || (this.#queueHead < this.#queue.length && this.#mayStart(written))
    if (again) this.#askForTurn()
    if (this.#queueHead === this.#queue.length || this.#queueHead > 1024) {
      this.#queue.splice(0, this.#queueHead)
      this.#queueHead = 0
    }
    this.#inTurn = false
    if (!again || doneLong || performance.now() > this.#oldestReply + HOLD_MS) this.#flush()
    this.#regulate()
  }

  /** Does put-off work, first to last, until others must get their turn; whether it came to that. */
  #doRow(): boolean {
    if (this.#row.length === 0) return false
    const end = performance.now() + ROW_MS
    let done = 0
    let late = false
    for (const { reply } of this.#row) {
      reply.work()
      done += 1
      late = performance.now() >= end
      if (late) break
    }
    for (const { reply, bytes } of this.#row.splice(0, done)) {
      this.#underWay -= bytes
      this.#answered()
      this.#reply(reply.result())
    }
    return late
  }

  #mayStart(written: number): boolean {
    const { bytesPerConnection } = this.#surroundings.limits
    return !this.#over && this.#underWay + this.#outboxBytes + written < bytesPerConnection
  }

  /** Reads on or stops reading, by what is held. */
  #regulate(): void {
    if (this.#over) return
    const full = this.#queued + this.#underWay + this.#unsent >= this.#surroundings.limits.bytesPerConnection
    if (full !== this.socket.isPaused()) {
      if (full) this.socket.pause()
      else this.socket.resume()
    }
  }

  #start({ message, bytes }: Waiting): void {
    const request = readRequest(message)
    if (!request) {
      this.#answered()
      return this.#refuse(new FrameError('a frame that is not a request'))
    }
    const reply = this.#surroundings.dispatch(request, this)
    if (reply instanceof Later) {
      this.#underWay += bytes
      this.#row.push({ reply, bytes })
      return
    }
    if (!(reply instanceof Promise)) {
      this.#answered()
      return this.#reply(reply)
    }
    this.#underWay += bytes
    void reply.then((settled) => {
      this.#underWay -= bytes
      this.#answered()
      if (this.#over) return
      this.#reply(settled)
      if (this.#queue.length > 0 && !this.#turnScheduled) this.#turn()
      else this.#regulate()
    })
  }

  #answered(): void {
    this.#unanswered -= 1
    this.#surroundings.onLoad(-1)
  }

  #reply(reply: ReplyEnvelope): void {
    let frame: Buffer
    try {
      frame = encodeFrame(reply)
    } catch (error) {
      this.#surroundings.log.error({ port: this.#surroundings.port, reason: String(error) }, 'reply cannot be sent')
      frame = encodeFrame({ id: reply.id, error: { code: 'LimitExceeded', message: 'the answer is too long' } })
    }
    this.#post(frame)
  }

  /** Replies of one turn or more, or of one round of the event loop, leave in one write. */
  #post(frame: Buffer): void {
    if (this.#outbox.length === 0) this.#oldestReply = performance.now()
    this.#outbox.push(frame)
    this.#outboxBytes += frame.length
    if (this.#inTurn || this.#flushScheduled) return
    this.#flushScheduled = true
    setImmediate(() => {
      this.#flushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#outbox.length === 0 || this.#over) return
    const [only, ...others] = this.#outbox
    const bytes = only !== undefined && others.length === 0 ? only : Buffer.concat(this.#outbox, this.#outboxBytes)
    this.#outbox = []
    this.#outboxBytes = 0
    this.socket.write(bytes)
  }

  #refuse(error: unknown): void {
    const { log, port } = this.#surroundings
    const reason = error instanceof FrameError ? error.message : String(error)
    log.warn({ port, from: this.remoteAddress, reason }, 'connection closed: not the protocol')
    this.socket.destroy()
    if (!this.#over) this.abandon()
  }
}

/** `requestEnvelope` by hand: the schema takes 1.2 µs of the 35 µs that a P-256 signature may take. */
function readRequest(message: unknown): Request | undefined {
  if (typeof message !== 'object' || message === null || !('id' in message && 'op' in message)) return undefined
  const { id, op } = message
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > 0xffffffff) return undefined
  if (typeof op !== 'string' || op.length > 64) return undefined
  return { id, op, params: 'params' in message ? message.params : {} }
}
