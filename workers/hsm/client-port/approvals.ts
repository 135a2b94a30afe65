/** The one place where operations that need approvals are held up for them. */
import { settled } from '../later.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import { needsOf, type Needs } from '../quorum/approved-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import type { ClientHsm } from './client-hsm.ts'
import { admitCaller, type ClientConnection, type Session } from './session.ts'

type Operation = keyof ClientOperations
type Handler = (params: never, connection: ClientConnection) => unknown

/** The same handlers; those of APPROVED_OPERATIONS run with enough approvals only, which their success spends. */
export function withApprovals(
  hsm: Pick<ClientHsm, 'users' | 'quorum' | 'replication'>,
  handlers: Handlers<ClientOperations, Session>,
): Handlers<ClientOperations, Session> {
  const held =
    (op: Operation, needs: Needs, handler: Handler): Handler =>
    (params, connection) => {
      const caller = admitCaller(op, hsm, connection)
      const claim = hsm.quorum.claim(connection.context, needs(params, caller))
      return claim ? claim.spendOn(async () => settled(await handler(params, connection))) : handler(params, connection)
    }
  const entries = (Object.keys(handlers) as Operation[]).map((op) => {
    const handler: Handler = handlers[op]
    const needs = needsOf(op)
    return [op, needs ? held(op, needs, handler) : handler] as const
  })
  // One handler for each that came in, of the same types.
  return Object.fromEntries(entries) as unknown as Handlers<ClientOperations, Session>
}
