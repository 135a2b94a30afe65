/** One event of the audit log: its fields, and AWS's text for it (data-plane reference §6.5). */
import { headLines } from '../../../audit-log/peer-head.ts'
import type { AuditHead } from '../../../provider-schema/audit-file.ts'
import type { HsmErrorCode } from '../protocol/errors.ts'
import {
  COMMAND_TYPES,
  commandTypeOf,
  LOG_TYPES,
  OPCODES,
  USER_TYPES,
  type AuditedRole,
  type Opcode,
} from './opcodes.ts'

/** What the event was done to. Never a secret: handles and names only. */
export type Details =
  | { readonly kind: 'keys'; readonly secret?: string | undefined; readonly public?: string | undefined }
  | { readonly kind: 'user'; readonly username: string; readonly role: AuditedRole }
  | {
      readonly kind: 'peer-change'
      /** Path of the record that another HSM changed. */
      readonly record: string
      readonly hsmId: string
      /** Whose approvals this HSM verified. */
      readonly approvers: readonly string[]
      /** Why they do not stand for the change. */
      readonly reason: string | undefined
    }
  | ({ readonly kind: 'peer-head'; readonly hsmId: string } & AuditHead)

export interface AuditEvent {
  readonly opcode: Opcode
  /** The operation of the protocol that led to it. */
  readonly operation: string
  /** The connection; 0 for what the control plane asked for. */
  readonly session: number
  /** Undefined for success. */
  readonly refusal?: Refusal | undefined
  readonly details?: Details | undefined
  /** Who was logged in on the connection. */
  readonly by?: string | undefined
  /** Address of the other side. */
  readonly from?: string | undefined
}

export interface Refusal {
  readonly code: HsmErrorCode | 'NoSuchUser'
}

/** Response numbers that AWS's log is known to show; every other refusal has one number and the code of the protocol. */
const RESPONSES: Partial<Record<Refusal['code'], string>> = {
  NoSuchUser: "157:HSM Error: user isn't initialized or user with this name doesn't exist",
  LoginFailed: '163:HSM Error: RET_USER_LOGIN_FAILURE',
  Busy: '187:HSM Error: Busy',
}
/** This project's own, beyond any number AWS is known to show. */
const OTHER_REFUSAL = 4096

export function responseText(refusal: Refusal | undefined): string {
  if (!refusal) return '0:HSM Return: SUCCESS'
  return RESPONSES[refusal.code] ?? `${OTHER_REFUSAL}:HSM Error: ${refusal.code}`
}

export interface Stamp {
  /** Microseconds since 1970. */
  readonly usecs: number
  /** Gapless for each HSM, from 0. */
  readonly sequence: number
  /** How often the HSM was started. */
  readonly reboots: number
}

/** The text lines of an event, as CloudWatch shows them of AWS's HSMs. */
export function eventText(event: AuditEvent, { usecs, sequence, reboots }: Stamp): string {
  const commandType = commandTypeOf(event.opcode)
  const { details } = event
  const logType = details ? LOG_TYPE_OF[details.kind] : 'MINIMAL_LOG_ENTRY'
  return [
    `Time: ${clockText(usecs)}, usecs:${usecs}`,
    `Sequence No : ${hex(sequence)}`,
    `Reboot counter : ${hex(reboots)}`,
    `Command Type(hex) : ${commandType} (${hex(COMMAND_TYPES[commandType])})`,
    `Opcode : ${event.opcode} (${hex(OPCODES[event.opcode])})`,
    `Session Handle : ${hex(event.session)}`,
    `Response : ${responseText(event.refusal)}`,
    `Log type : ${logType} (${LOG_TYPES[logType]})`,
    ...(details ? detailLines(details) : []),
  ].join('\n')
}

const LOG_TYPE_OF = {
  keys: 'MGMT_KEY_DETAILS_LOG',
  user: 'MGMT_USER_DETAILS_LOG',
  'peer-change': 'MINIMAL_LOG_ENTRY',
  'peer-head': 'MINIMAL_LOG_ENTRY',
} as const

function detailLines(details: Details): string[] {
  if (details.kind === 'user') {
    return [`User Name : ${details.username}`, `User Type : ${USER_TYPES[details.role]}`]
  }
  if (details.kind === 'peer-head') return headLines(details)
  if (details.kind === 'peer-change') {
    const { record, hsmId, approvers, reason } = details
    return [
      `Changed Record : ${record}`,
      `Changed By HSM : ${hsmId}`,
      `Approved By : ${approvers.length > 0 ? approvers.join(', ') : 'nobody'}`,
      ...(reason === undefined ? [] : [`Reason : ${reason}`]),
    ]
  }
  return [`Priv/Secret Key Handle : ${decimal(details.secret)}`, `Public Key Handle : ${decimal(details.public)}`]
}

/** `MM/DD/YY hh:mm:ss.uuuuuu`, UTC. */
function clockText(usecs: number): string {
  const iso = new Date(Math.floor(usecs / 1000)).toISOString()
  const [year = '', month = '', day = ''] = iso.slice(2, 10).split('-')
  const micros = String(usecs % 1_000_000).padStart(6, '0')
  return `${month}/${day}/${year} ${iso.slice(11, 19)}.${micros}`
}

const hex = (value: number) => `0x${value.toString(16)}`
/** Handles are 64 bits: more than a number holds. */
const decimal = (handle: string | undefined) => (handle === undefined ? '0' : BigInt(handle).toString())
