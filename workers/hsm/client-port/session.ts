/** What belongs to one client connection: who logged in on it, and the session keys made on it. */
import { authorize, requireUnlimited, type Caller } from '../policy/roles.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import { PART_LIMITS } from '../protocol/client/multi-part.ts'
import { HsmError } from '../protocol/errors.ts'
import type { PortConnection } from '../server/port-server.ts'
import type { Replication } from '../replication/replication.ts'
import type { SessionScope } from '../vault/held-key.ts'
import type { Keys } from '../vault/keys.ts'
import type { Users } from '../vault/users.ts'
import type { LoginChallenge } from './login-challenge.ts'
import { PartOperations } from './part-operations.ts'

export interface Session extends SessionScope {
  /** Whether `hello` was said. */
  greeted: boolean
  /** What the client called itself then. */
  client: string
  loggingIn: boolean
  caller: Caller | undefined
  /** What is to be signed for a login, or for registering a key. */
  challenge: LoginChallenge | undefined
  /** Operations on data in parts that are under way. */
  readonly parts: PartOperations
}

export type ClientConnection = PortConnection<Session>

export const newSession = (): Session => ({
  greeted: false,
  client: '',
  loggingIn: false,
  caller: undefined,
  challenge: undefined,
  handles: new Set(),
  parts: new PartOperations(PART_LIMITS),
})

/** What decides whether an operation is let through. */
export interface Gate {
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

/** Ends a login: nobody is logged in; the session's keys and what it had under way are gone. */
export function endLogin(connection: ClientConnection, keys: Keys): void {
  connection.context.caller = undefined
  connection.context.parts.end()
  keys.endSession(connection.context)
  connection.distrust()
}

function requireHello(operation: string, session: Session): void {
  if (session.greeted || operation === 'hello') return
  throw new HsmError('InvalidRequest', 'the first request of a connection is hello')
}
