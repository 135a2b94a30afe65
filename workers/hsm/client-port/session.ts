/** What belongs to one client connection: who logged in on it, and the session keys made on it. */
import { authorize, requireUnlimited, type Caller } from '../policy/roles.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { PortConnection } from '../server/port-server.ts'
import type { Replication } from '../replication/replication.ts'
import type { SessionScope } from '../vault/held-key.ts'
import type { Keys } from '../vault/keys.ts'
import type { Users } from '../vault/users.ts'

export interface Session extends SessionScope {
  /** Whether `hello` was said. */
  greeted: boolean
  loggingIn: boolean
  caller: Caller | undefined
}

export type ClientConnection = PortConnection<Session>

export const newSession = (): Session => ({
  greeted: false,
  loggingIn: false,
  caller: undefined,
  handles: new Set(),
})

/** What decides whether an operation is let through. */
interface Gate {
  readonly users: Users
  readonly replication: Pick<Replication, 'writesLimited'>
}

/** Lets the operation through or throws, before anything of it is looked at. For operations anyone may ask for. */
export function admit(operation: keyof ClientOperations, gate: Gate, { context }: ClientConnection) {
  requireHello(operation, context)
  const caller = authorize(operation, context.caller, gate.users.activated)
  requireUnlimited(operation, gate.replication.writesLimited)
  return caller
}

/** As `admit`, for operations that need a login: gives who it is. */
export function admitCaller(operation: keyof ClientOperations, hsm: Gate, connection: ClientConnection): Caller {
  const caller = admit(operation, hsm, connection)
  if (!caller) throw new HsmError('NotAuthenticated', `${operation} needs a login`)
  return caller
}

/** Ends a login: nobody is logged in, and the session's keys are gone. */
export function endLogin(connection: ClientConnection, keys: Keys): void {
  connection.context.caller = undefined
  keys.endSession(connection.context)
  connection.distrust()
}

function requireHello(operation: string, session: Session): void {
  if (session.greeted || operation === 'hello') return
  throw new HsmError('InvalidRequest', 'the first request of a connection is hello')
}
