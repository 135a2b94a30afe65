/** The one place where operations that need approvals are held up for them. */
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { OperationTable } from '../protocol/envelope.ts'
import { needsOf } from '../quorum/approved-operations.ts'
import type { Claim } from '../quorum/quorum.ts'
import type { Handlers, PortConnection } from '../server/port-server.ts'
import type { ClientHsm } from './client-hsm.ts'
import { admitCaller, type Session } from './session.ts'

/** The same handlers; those of APPROVED_OPERATIONS run with enough approvals only, which their success spends. */
export function withApprovals(
  hsm: Pick<ClientHsm, 'users' | 'quorum'>,
  handlers: Handlers<ClientOperations, Session>,
): Handlers<ClientOperations, Session> {
  return holding(handlers, (op) => {
    const needs = needsOf(op)
    if (!needs) return undefined
    return (params, connection) => {
      const caller = admitCaller(op, hsm, connection)
      return hsm.quorum.claim(connection.context, needs(params, caller))
    }
  })
}

type Hold<Context> = (params: unknown, connection: PortConnection<Context>) => Claim | undefined

/** `holdOf` says whether an operation is held up, and then each time for which claim. */
function holding<Table extends OperationTable, Context>(
  handlers: Handlers<Table, Context>,
  holdOf: (op: keyof Table & string) => Hold<Context> | undefined,
): Handlers<Table, Context> {
  const held: { -readonly [Op in keyof Table & string]: Handlers<Table, Context>[Op] } = { ...handlers }
  const replace = <Op extends keyof Table & string>(op: Op, hold: Hold<Context>) => {
    const handle = handlers[op]
    held[op] = (params, connection) => {
      const claim = hold(params, connection)
      return claim ? claim.spendOn(() => handle(params, connection)) : handle(params, connection)
    }
  }
  for (const op in handlers) {
    const hold = holdOf(op)
    if (hold) replace(op, hold)
  }
  return held
}
