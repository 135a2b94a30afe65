/** HTTP load from as little CPU as possible: bytes that were made before, responses found by their Content-Length. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from './report.ts'

export interface LoadOptions {
  readonly port: number
  /** Whole requests, sent in turn. */
  readonly requests: readonly Buffer[]
  readonly connections: number
  readonly seconds: number
  /** Requests per second to offer in all; as many as are answered when not given. */
  readonly rate?: number
}

export interface Load {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds from when a request was due to its last byte. */
  readonly p99: number
}

/** Offers load; throws when an answer is not 200. */
export async function load(options: LoadOptions): Promise<Load> {
  const latencies: number[] = []
  const began = performance.now()
  const until = began + options.seconds * 1_000
  await Promise.all(
    Array.from({ length: options.connections }, (_, i) => oneConnection(options, i, began, until, latencies)),
  )
  return {
    requests: latencies.length,
    perSecond: latencies.length / ((performance.now() - began) / 1_000),
    p99: percentile(latencies, 0.99),
  }
}

async function oneConnection(
  { port, requests, connections, rate }: LoadOptions,
  index: number,
  began: number,
  until: number,
  latencies: number[],
): Promise<void> {
  let connection = await connected(port)
  const interval = rate === undefined ? 0 : (connections * 1_000) / rate
  for (let n = 0; ; n++) {
    const due = rate === undefined ? performance.now() : began + (n + index / connections) * interval
    if (due >= until || performance.now() >= until) break
    const early = due - performance.now()
    if (early > 0) await sleep(early)
    const request = requests[(n * connections + index) % requests.length]
    if (!request) throw new Error('no request to send')
    // moto closes the connection after every answer.
    if (connection.isClosed()) connection = await connected(port)
    await connection.exchange(request)
    latencies.push(performance.now() - due)
  }
  connection.close()
}

interface Connection {
  /** Sends one request and waits for the whole of its answer. */
  exchange(request: Buffer): Promise<void>
  isClosed(): boolean
  close(): void
}

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const BUFFER_BYTES = 64 * 1024

/**
 * Reads into one buffer for all answers: where each chunk got one of its own, the collector's threads took both of two
 * processors for 20 ms every second, and the server's latency with them.
 */
async function connected(port: number): Promise<Connection> {
  let head = ''
  /** Bytes of the answer that are still to come; undefined: its head is not known yet. */
  let missing: number | undefined
  let isClosing = false
  let settle: ((error?: Error) => void) | undefined
  const end = (error?: Error) => {
    const told = settle
    settle = undefined
    told?.(error)
  }
  const take = (length: number, buffer: Uint8Array): boolean => {
    if (missing === undefined) {
      const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, length)
      const found = chunk.indexOf(END_OF_HEAD)
      head += chunk.toString('latin1', 0, found < 0 ? length : found)
      if (found < 0) return true
      if (!head.startsWith('HTTP/1.1 200')) {
        end(new Error(`${head}\n${chunk.toString('utf8', found + END_OF_HEAD.length)}`))
        return true
      }
      isClosing = /connection: close/i.test(head)
      missing = Number(/content-length: (\d+)/i.exec(head)?.[1]) - (length - found - END_OF_HEAD.length)
    } else {
      missing -= length
    }
    if (missing > 0) return true
    if (isClosing) socket.destroy()
    end()
    return true
  }
  const onread = { buffer: Buffer.alloc(BUFFER_BYTES), callback: take }
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true, onread })
  // A peer that closes after its answer may reset; whoever waits for an answer then is told by 'close'.
  socket.on('error', () => undefined).on('close', () => end(new Error('the connection was closed')))
  await once(socket, 'connect')
  return {
    exchange: (request) =>
      new Promise((resolve, reject) => {
        head = ''
        missing = undefined
        settle = (error) => (error ? reject(error) : resolve())
        socket.write(request)
      }),
    isClosed: () => socket.readableEnded || socket.destroyed,
    close: () => socket.destroy(),
  }
}
