/** Writes the operations of the client port into the audit log: around the handlers, in one place for all of them. */
import type { ClientHsm } from '../client-port/client-hsm.ts'
import type { ClientConnection, Session } from '../client-port/session.ts'
import type { Caller } from '../policy/roles.ts'
import type { KeyInfo } from '../protocol/attributes.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Handlers } from '../server/port-server.ts'
import type { AuditLog } from './audit-log.ts'
import { CLIENT_EVENTS, type AuditedOperation, type EventRow } from './client-events.ts'
import type { AuditEvent, Refusal } from './event.ts'

export interface ClientAudit {
  /** The same handlers, recorded. What cannot be recorded is refused before it is begun. */
  recorded(handlers: Handlers<ClientOperations, Session>): Handlers<ClientOperations, Session>
  /** A connection is over: recorded when somebody was still logged in on it. */
  closed(connection: ClientConnection): void
}

type Handler = (params: never, connection: ClientConnection) => unknown
type AnyRow = EventRow<never, never>

export function clientAudit(hsm: Pick<ClientHsm, 'users' | 'keys' | 'cluster' | 'log'>, audit: AuditLog): ClientAudit {
  const handleOf = sessionHandles()
  /** Whose connections are closed. */
  const over = new WeakSet<Session>()
  const clusterId = () => hsm.cluster()?.clusterId ?? 'none'

  const recorded = (operation: AuditedOperation, row: AnyRow, handler: Handler): Handler => {
    const eventOf = (
      params: never,
      { context, remoteAddress }: ClientConnection,
      caller: Caller | undefined,
      outcome: { readonly result?: never; readonly key: KeyInfo | undefined; readonly refusal?: Refusal },
    ): AuditEvent => ({
      operation,
      opcode: typeof row.opcode === 'string' ? row.opcode : row.opcode(params, outcome.key),
      session: handleOf(context),
      refusal: outcome.refusal,
      details:
        row.ofCaller && caller ? { kind: 'user', ...caller } : row.details?.(params, outcome.result, outcome.key),
      by: caller?.username,
      from: remoteAddress,
    })

    return async (params, connection) => {
      const { caller } = connection.context
      const key = caller && row.about ? lookUp(hsm, caller, row.about(params)) : undefined
      audit.begin()
      let result: unknown
      try {
        result = await handler(params, connection)
      } catch (error) {
        const refusal = refusalOf(operation, params, error, hsm)
        // Whoever is not logged in must not be able to fill the log.
        if (caller || (row.refusedToAnyone && isVerdict(refusal))) {
          await audit.record(clusterId(), eventOf(params, connection, caller, { key, refusal }))
        } else audit.dismiss()
        throw error
      }
      if (row.ofCaller && !caller) {
        audit.dismiss()
        return result
      }
      // The row's types come from the same table as the handler's.
      await audit.record(clusterId(), eventOf(params, connection, caller, { key, result: result as never }))
      // The connection closed while the password was looked at.
      if (operation === 'login' && over.has(connection.context)) noteEnd(connection, result as Caller)
      return result
    }
  }

  const noteEnd = ({ context, remoteAddress }: ClientConnection, caller: Caller): void => {
    const event: AuditEvent = {
      operation: 'close',
      opcode: 'CN_CLOSE_SESSION',
      session: handleOf(context),
      details: { kind: 'user', ...caller },
      by: caller.username,
      from: remoteAddress,
    }
    audit.note(clusterId(), event).catch((error: unknown) => {
      hsm.log.warn({ reason: String(error) }, 'the end of a session could not be recorded yet')
    })
  }

  return {
    recorded(handlers) {
      const entries = (Object.keys(handlers) as AuditedOperation[]).map((operation) => {
        const row = CLIENT_EVENTS[operation]
        const handler: Handler = handlers[operation]
        return [operation, row === 'not recorded' ? handler : recorded(operation, row, handler)] as const
      })
      // One handler for each that came in, of the same types.
      return Object.fromEntries(entries) as unknown as Handlers<ClientOperations, Session>
    },
    closed(connection) {
      const { context } = connection
      over.add(context)
      if (context.caller && !context.loggingIn) noteEnd(connection, context.caller)
    },
  }
}

/** 32-bit numbers for connections, counted from 1 at each start of the HSM. */
function sessionHandles(): (session: Session) => number {
  const handles = new WeakMap<Session, number>()
  let last = 0
  return (session) => {
    const known = handles.get(session)
    if (known !== undefined) return known
    last = (last % 0xffffffff) + 1
    handles.set(session, last)
    return last
  }
}

function lookUp({ keys }: Pick<ClientHsm, 'keys'>, caller: Caller, handle: string): KeyInfo | undefined {
  return keys.find(caller, { handle, attributes: {} }, { offset: 0, limit: 1 }).keys[0]
}

function refusalOf(operation: string, params: unknown, error: unknown, { users }: Pick<ClientHsm, 'users'>): Refusal {
  const code = error instanceof HsmError ? error.code : 'Internal'
  // The client is told the same for an unknown name and a wrong password; AWS's log tells them apart.
  if (operation !== 'login' || code !== 'LoginFailed') return { code }
  const isUser = typeof params === 'object' && params !== null && 'username' in params
  return { code: isUser && users.has(String(params.username)) ? code : 'NoSuchUser' }
}

/** A password was looked at, which is throttled; other refusals cost the asker nothing. */
function isVerdict({ code }: Refusal): boolean {
  return code === 'LoginFailed' || code === 'NoSuchUser' || code === 'UserLocked'
}
