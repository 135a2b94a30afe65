/** The client port: applications and people. */
import type { SecureContextOptions } from 'node:tls'
import { clientOperations, type ClientOperations } from '../protocol/client-operations.ts'
import { servePort, type Handlers, type PortServer } from '../server/port-server.ts'
import type { ClientHsm } from './client-hsm.ts'
import { cryptoHandlers } from './crypto-handlers.ts'
import { generateHandlers } from './generate-handlers.ts'
import { keyHandlers } from './key-handlers.ts'
import { endLogin, newSession, type Session } from './session.ts'
import { sessionHandlers } from './session-handlers.ts'
import { userHandlers } from './user-handlers.ts'

export function clientHandlers(hsm: ClientHsm): Handlers<ClientOperations, Session> {
  return {
    ...sessionHandlers(hsm),
    ...userHandlers(hsm),
    ...generateHandlers(hsm),
    ...keyHandlers(hsm),
    ...cryptoHandlers(hsm),
  }
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
export async function serveClients(hsm: Omit<ClientHsm, 'load'>, tls: SecureContextOptions): Promise<ClientPort> {
  let load = () => 0
  const server: PortServer<Session> = await servePort({
    name: 'client',
    host: hsm.config.address,
    port: hsm.config.ports.client,
    tls,
    operations: clientOperations,
    handlers: clientHandlers({ ...hsm, load: () => load() }),
    log: hsm.log,
    onConnect: newSession,
    onClose: (connection) => endLogin(connection, hsm.keys),
  })
  load = () => server.load
  hsm.replication.onMembersChanged((members) => {
    for (const connection of server.connections) connection.send('members', { members: [...members] })
  })
  const loggedIn = () => [...server.connections].filter(({ context }) => context.caller)
  return {
    get sessions() {
      return loggedIn().length
    },
    setSecureContext: (context) => server.setSecureContext(context),
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
