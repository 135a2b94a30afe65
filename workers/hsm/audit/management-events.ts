/** Which operations of the management port the audit log holds: those that change what the HSM is or take its content. */
import type { ManagementOperations } from '../protocol/management-operations.ts'
import type { ManagedHsm } from '../management-port/managed-hsm.ts'
import type { Handlers } from '../server/port-server.ts'
import { HsmError } from '../protocol/errors.ts'
import type { AuditLog } from './audit-log.ts'
import type { AuditEvent } from './event.ts'
import type { Opcode } from './opcodes.ts'

type Operation = keyof ManagementOperations

interface Row {
  /** Recorded before the operation is begun. */
  readonly before?: readonly Opcode[]
  /** Recorded when it has ended. */
  readonly after: readonly Opcode[]
  /** Only while the HSM belongs to no cluster: a repeated call changes nothing then. */
  readonly onlyBlank?: true
  /** Done whether it can be recorded or not. */
  readonly always?: true
}

/** The first HSM's log begins as at AWS (data-plane reference §6.5). */
const FOUNDING: readonly Opcode[] = ['CN_INIT_TOKEN', 'CN_GEN_PSWD_ENC_KEY', 'CN_CREATE_APPLIANCE_USER', 'CN_INIT_DONE']

export const MANAGEMENT_EVENTS: { readonly [Op in Operation]: Row | 'not recorded' } = {
  health: 'not recorded',
  found: { after: FOUNDING, onlyBlank: true },
  'install-certificate': { after: ['CN_CERT_AUTH_STORE_CERT'] },
  membership: 'not recorded',
  join: { before: ['CN_RESTORE_BEGIN'], after: ['CN_RESTORE_END'], onlyBlank: true },
  'backup-begin': { before: ['CN_BACKUP_BEGIN'], after: ['CN_BACKUP_END'] },
  'backup-read': 'not recorded',
  'backup-end': 'not recorded',
  'restore-begin': 'not recorded',
  'restore-write': 'not recorded',
  'restore-commit': { before: ['CN_RESTORE_BEGIN'], after: ['CN_RESTORE_END'], onlyBlank: true },
  drain: 'not recorded',
  resume: 'not recorded',
  zeroise: { after: ['CN_ZEROIZE'], always: true },
}

type Handler = (params: never, connection: never) => unknown

/** The same handlers, recorded. */
export function recordedManagement(
  handlers: Handlers<ManagementOperations, unknown>,
  hsm: Pick<ManagedHsm, 'identity' | 'log'>,
  audit: AuditLog,
): Handlers<ManagementOperations, unknown> {
  const recorded = (operation: Operation, row: Row, handler: Handler): Handler => {
    return async (params, connection) => {
      const { current } = hsm.identity
      if (current && row.onlyBlank) return handler(params, connection)
      const record = async (opcodes: readonly Opcode[], error?: unknown) => {
        const clusterId = clusterIdIn(params) ?? hsm.identity.current?.clusterId ?? 'none'
        const notes = opcodes.map((opcode) => audit.note(clusterId, eventOf(operation, opcode, error)))
        await Promise.all(notes)
      }
      if (row.always) {
        const result = await handler(params, connection)
        await record(row.after).catch((error: unknown) => {
          hsm.log.error({ operation, reason: String(error) }, 'it could not be recorded')
        })
        return result
      }
      audit.begin()
      try {
        await record(row.before ?? [])
        const result = await handler(params, connection)
        await record(row.after)
        return result
      } catch (error) {
        // Without a beginning in the log an end would say nothing.
        if (row.before) await record(row.after, error)
        throw error
      } finally {
        audit.dismiss()
      }
    }
  }
  const entries = (Object.keys(handlers) as Operation[]).map((operation) => {
    const row = MANAGEMENT_EVENTS[operation]
    const handler: Handler = handlers[operation]
    return [operation, row === 'not recorded' ? handler : recorded(operation, row, handler)] as const
  })
  // One handler for each that came in, of the same types.
  return Object.fromEntries(entries) as unknown as Handlers<ManagementOperations, unknown>
}

function eventOf(operation: Operation, opcode: Opcode, error: unknown): AuditEvent {
  const refusal =
    error === undefined ? undefined : ({ code: error instanceof HsmError ? error.code : 'Internal' } as const)
  const details =
    opcode === 'CN_CREATE_APPLIANCE_USER'
      ? ({ kind: 'user', username: 'app_user', role: 'internal(APPLIANCE_USER)' } as const)
      : undefined
  return { operation, opcode, session: 0, by: 'control plane', refusal, details }
}

function clusterIdIn(params: unknown): string | undefined {
  if (typeof params !== 'object' || params === null || !('clusterId' in params)) return undefined
  return typeof params.clusterId === 'string' ? params.clusterId : undefined
}
