/**
 * One port of an HSM: TLS 1.3, frames, request envelopes, a table of operations and a handler for each.
 *
 * What comes from outside is bounded here, once for all ports: connections, time to shake hands, idle time of peers
 * nobody trusts yet, bytes held per connection. Whatever is not a well-formed request closes its own connection and
 * nothing else.
 */
import type { SecureContextOptions } from 'node:tls'
import { createServer, type TLSSocket } from 'node:tls'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import type { OperationTable } from '../protocol/envelope.ts'
import { MAX_FRAME_BYTES } from '../protocol/frame.ts'
import { ServedConnection, type Dispatch, type PortConnection } from './served-connection.ts'
import { dispatcher, type Handlers } from './dispatch.ts'
import { Turns } from './turns.ts'

export type { Handlers } from './dispatch.ts'
export type { PortConnection } from './served-connection.ts'

export interface PortLimits {
  /** Open connections; one more is closed at once. */
  readonly maxConnections: number
  /** From TCP accept to the end of the TLS handshake. */
  readonly handshakeTimeoutMs: number
  /** Without traffic, until `connection.trust()`; afterwards a connection may idle for ever. */
  readonly idleTimeoutMs: number
  /** Of one frame, until `connection.trust()`; afterwards as long as frames may be. */
  readonly untrustedFrameBytes: number
  /** Of requests waiting or under way and replies not yet taken, for each connection; reading stops above it. */
  readonly bytesPerConnection: number
}

export const DEFAULT_LIMITS: PortLimits = {
  maxConnections: 1024,
  handshakeTimeoutMs: 5_000,
  idleTimeoutMs: 60_000,
  untrustedFrameBytes: MAX_FRAME_BYTES,
  bytesPerConnection: 8 * 1024 * 1024,
}

export interface ServePortOptions<Table extends OperationTable, Context> {
  /** For the log. */
  readonly name: string
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly tls: PortTls
  readonly operations: Table
  readonly handlers: Handlers<Table, Context>
  /** Looks at a request before its parameters are parsed. What it throws is the reply. */
  readonly screen?: (op: keyof Table & string, params: unknown, connection: PortConnection<Context>) => void
  /** Makes what belongs to a connection; what it throws refuses the connection. */
  readonly onConnect: (socket: TLSSocket) => Context
  /** Called once when a connection is over, whatever ended it. */
  readonly onClose?: (connection: PortConnection<Context>) => void
  readonly limits?: Partial<PortLimits>
  readonly log: Logger
}

/**
 * With `requestCert` only callers whose certificate chains to `ca` get in, unless `rejectUnauthorized` is false: then the
 * others do too, and `onConnect` decides.
 */
export type PortTls = SecureContextOptions & { readonly requestCert?: boolean; readonly rejectUnauthorized?: boolean }

export interface PortServer<Context> {
  readonly port: number
  /** Open connections, handshake done. */
  readonly connections: ReadonlySet<PortConnection<Context>>
  /** Requests that wait or are under way, over all connections. */
  readonly load: number
  /** For connections from now on; those that are open keep what they have. */
  setSecureContext(tls: SecureContextOptions): void
  /** Refuses new connections, answers new requests with `Draining`, and resolves when those under way are answered. */
  drain(): Promise<void>
  /** Ends a drain. */
  resume(): void
  /** Stops listening, lets requests under way finish for up to `graceMs` (0 when left out), then closes everything. */
  close(graceMs?: number): Promise<void>
}

/** Listens. Throws what `listen` throws (EADDRINUSE, EADDRNOTAVAIL, …). */
export async function servePort<Table extends OperationTable, Context>(
  options: ServePortOptions<Table, Context>,
): Promise<PortServer<Context>> {
  const { name, log } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const connections = new Set<ServedConnection<Context>>()
  const waiters = new Set<() => void>()
  const turns = new Turns()
  let load = 0
  let draining = false
  const dispatch: Dispatch<Context> = dispatcher(options, () => draining)
  const onLoad = (change: number) => {
    load += change
    if (load > 0) return
    for (const resolve of waiters) resolve()
    waiters.clear()
  }
  const idle = () => (load === 0 ? Promise.resolve() : new Promise<void>((resolve) => void waiters.add(resolve)))

  const server = createServer({
    ...options.tls,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: options.tls.requestCert === true && options.tls.rejectUnauthorized !== false,
    handshakeTimeout: limits.handshakeTimeoutMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  })
  server.maxConnections = limits.maxConnections
  server.on('tlsClientError', (error, socket) => {
    log.debug({ port: name, reason: error.message }, 'handshake failed')
    socket.destroy()
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', (error) => log.debug({ port: name, reason: error.message }, 'connection broke'))
    if (draining) return void socket.destroy()
    let context: Context
    try {
      context = options.onConnect(socket)
    } catch (error) {
      log.warn({ port: name, from: socket.remoteAddress, reason: String(error) }, 'connection refused')
      return void socket.destroy()
    }
    const connection = new ServedConnection(socket, context, { dispatch, limits, onLoad, turns, log, port: name })
    connections.add(connection)
    socket.once('close', () => {
      connections.delete(connection)
      connection.abandon()
      options.onClose?.(connection)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port }, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
  // Of a listening server: too many open files and the like. The next accept may well succeed.
  server.on('error', (error) => log.error({ port: name, reason: error.message }, 'cannot accept'))

  return {
    port: portOf(server.address()),
    connections,
    get load() {
      return load
    },
    setSecureContext: (tls) => server.setSecureContext({ ...tls, minVersion: 'TLSv1.3' }),
    async drain() {
      draining = true
      await idle()
    },
    resume() {
      draining = false
    },
    async close(graceMs = 0) {
      draining = true
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
      if (graceMs > 0) await atMost(idle(), graceMs)
      await Promise.all([...connections].map((connection) => connection.end()))
      await closed
    },
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return address.port
}

async function atMost(work: Promise<void>, ms: number): Promise<void> {
  const timeout = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => timeout.resolve(undefined), ms)
  await Promise.race([work, timeout.promise])
  clearTimeout(timer)
}
