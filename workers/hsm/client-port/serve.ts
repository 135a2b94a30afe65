/** The client port: applications and people. */
import type { SecureContextOptions } from 'node:tls'
import { clientOperations, type ClientOperations } from '../protocol/client-operations.ts'
import { MAX_FRAME_BYTES_BEFORE_LOGIN } from '../protocol/frame.ts'
import { clientAudit } from '../audit/audited.ts'
import type { AuditLog } from '../audit/audit-log.ts'
import { servePort, type Handlers, type PortServer } from '../server/port-server.ts'
import { withApprovals } from './approvals.ts'
import type { ClientHsm } from './client-hsm.ts'
import { cryptoHandlers } from './crypto-handlers.ts'
import { generateHandlers } from './generate-handlers.ts'
import { kemHandlers } from './kem-handlers.ts'
import { keyHandlers } from './key-handlers.ts'
import { mtlsConnections } from './mtls-connections.ts'
import { mtlsHandlers, type Sparing } from './mtls-handlers.ts'
import { quorumHandlers } from './quorum-handlers.ts'
import { multiPartHandlers } from './multi-part-handlers.ts'
import { screen } from './screen.ts'
import { endLogin, newSession, type ClientConnection, type Session } from './session.ts'
import { sessionHandlers } from './session-handlers.ts'
import { transferHandlers } from './transfer-handlers.ts'
import { userHandlers } from './user-handlers.ts'

export function clientHandlers(hsm: ClientHsm, sparing: Sparing): Handlers<ClientOperations, Session> {
  return withApprovals(hsm, {
    ...sessionHandlers(hsm),
    ...userHandlers(hsm),
    ...quorumHandlers(hsm),
    ...mtlsHandlers(hsm, sparing),
    ...generateHandlers(hsm),
    ...keyHandlers(hsm),
    ...transferHandlers(hsm),
    ...cryptoHandlers(hsm),
    ...kemHandlers(hsm),
    ...multiPartHandlers(hsm),
  })
}

export interface ClientPort {
  /** Connections that someone is logged in on. */
  readonly sessions: number
  setSecureContext(tls: SecureContextOptions): void
  /** A user is gone: ends every login of that name. */
  endLoginsOf(username: string): void
  drain(): Promise<void>
  resume(): void
  /** Ends every connection now, whatever is under way, and takes no more. */
  cutOff(): void
  close(graceMs: number): Promise<void>
}

/** Listens on the client port, and tells every connection when the members change. Throws what listening throws. */
export async function serveClients(
  hsm: Omit<ClientHsm, 'load'>,
  tls: SecureContextOptions,
  auditLog: AuditLog,
): Promise<ClientPort> {
  const audit = clientAudit(hsm, auditLog)
  let load = () => 0
  let connections: Iterable<ClientConnection> = []
  const mtls = mtlsConnections(hsm.mtls, () => connections)
  let shown = tls
  const server: PortServer<Session> = await servePort({
    name: 'client',
    host: hsm.config.address,
    port: hsm.config.ports.client,
    tls: mtls.tls(shown),
    operations: clientOperations,
    handlers: audit.recorded(clientHandlers({ ...hsm, load: () => load() }, mtls.sparing)),
    screen: (op, params, connection) => {
      screen(hsm, op, params, connection)
    },
    log: hsm.log,
    limits: { untrustedFrameBytes: MAX_FRAME_BYTES_BEFORE_LOGIN },
    onConnect(socket) {
      mtls.admit(socket)
      return newSession()
    },
    onClose: (connection) => {
      audit.closed(connection)
      endLogin(connection, hsm.keys)
    },
  })
  load = () => server.load
  connections = server.connections
  hsm.mtls.onChange(() => {
    server.setSecureContext(mtls.tls(shown))
    mtls.enforce()
  })
  hsm.replication.onMembersChanged((members) => {
    for (const connection of server.connections) connection.send('members', { members: [...members] })
  })
  const loggedIn = () => [...server.connections].filter(({ context }) => context.caller)
  return {
    get sessions() {
      return loggedIn().length
    },
    setSecureContext(context) {
      shown = context
      server.setSecureContext(mtls.tls(shown))
    },
    endLoginsOf(username) {
      for (const connection of loggedIn()) {
        if (connection.context.caller?.username === username) endLogin(connection, hsm.keys)
      }
    },
    drain: () => server.drain(),
    resume: () => server.resume(),
    cutOff() {
      void server.drain()
      for (const connection of server.connections) connection.destroy()
    },
    close: (graceMs) => server.close(graceMs),
  }
}
