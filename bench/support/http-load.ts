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
  let socket = await connected(port)
  const interval = rate === undefined ? 0 : (connections * 1_000) / rate
  for (let n = 0; ; n++) {
    const due = rate === undefined ? performance.now() : began + (n + index / connections) * interval
    if (due >= until || performance.now() >= until) break
    const early = due - performance.now()
    if (early > 0) await sleep(early)
    const request = requests[(n * connections + index) % requests.length]
    if (!request) throw new Error('no request to send')
    // moto closes the connection after every answer.
    if (socket.readableEnded || socket.destroyed) socket = await connected(port)
    await exchange(socket, request)
    latencies.push(performance.now() - due)
  }
  socket.destroy()
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  // A peer that closes after its answer may reset; whoever waits for an answer then is told by 'close'.
  socket.on('error', () => undefined)
  return socket.setNoDelay(true)
}

const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** Sends one request and waits for the whole of its answer. */
function exchange(socket: Socket, request: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    let head: Buffer = Buffer.alloc(0)
    let missing = -1
    let closing = false
    const settle = (error?: Error) => {
      socket.off('data', take).off('close', closed)
      if (error) reject(error)
      else resolve()
    }
    const take = (chunk: Buffer) => {
      if (missing < 0) {
        head = head.length === 0 ? chunk : Buffer.concat([head, chunk])
        const end = head.indexOf(END_OF_HEAD)
        if (end < 0) return
        const text = head.toString('latin1', 0, end)
        if (!text.startsWith('HTTP/1.1 200')) {
          settle(new Error(head.toString('utf8')))
          return
        }
        closing = /connection: close/i.test(text)
        missing = Number(/content-length: (\d+)/i.exec(text)?.[1]) - (head.length - end - 4)
      } else {
        missing -= chunk.length
      }
      if (missing > 0) return
      if (closing) socket.destroy()
      settle()
    }
    const closed = () => settle(new Error('the connection was closed'))
    socket.on('data', take).on('close', closed)
    socket.write(request)
  })
}
