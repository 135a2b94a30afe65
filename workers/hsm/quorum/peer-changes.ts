/**
 * What other HSMs changed that asks for approvals, looked at once more by this one: it checks the signatures that came
 * along against its own users, and its audit log says who approved, or that nobody did.
 *
 * It does not refuse the change. Which keys count when a change arrives depends on what else has arrived, so of two HSMs
 * one could take it and the other not, and they would never be the same again. The HSM that was asked has refused before
 * anything was written; a member that no longer does so holds every key of the cluster and needs no approvals.
 */
import type { AuditEvent } from '../audit/event.ts'
import type { Caller } from '../policy/roles.ts'
import {
  hsmNumber,
  hsmNumberIn,
  recordsIn,
  serviceIn,
  tokenOf,
  usernameIn,
  type AdminService,
} from '../protocol/quorum.ts'
import { recordsOf, type Held } from '../vault/contested-records.ts'
import type { RecordStore } from '../vault/record-store.ts'
import { isSignedToken } from '../vault/token-sign.ts'
import { approvalKeyIn, decodeUser, usernameOf, userPath } from '../vault/user-record.ts'
import { APPROVALS, approvalsPath, areOf, decodeApprovals, serviceOf, type SpentApprovals } from './spent-approvals.ts'
import { isQuorumValue, requiredBy, valuePath } from './value-record.ts'

export interface PeerChangesOptions {
  readonly store: RecordStore
  /** Whether the HSM is in a cluster: what it takes over while it joins was looked at by others. */
  readonly inService: () => boolean
  readonly note: (event: AuditEvent) => void
}

interface Judged {
  readonly requester?: string | undefined
  readonly approvers: readonly string[]
  /** Undefined when the approvals stand. */
  readonly flaw: string | undefined
}

/** Looks at every commit from now on. */
export function watchPeerChanges({ store, inService, note }: PeerChangesOptions): void {
  const users = new Map<string, Held>()
  const values = new Map<string, Held>()
  const records = recordsOf(store)
  const remember = (record: Held) => {
    if (usernameOf(record.path) !== undefined) users.set(record.path, record)
    if (isQuorumValue(record.path)) values.set(record.path, record)
  }
  for (const record of records.list('users/')) remember(record)
  for (const record of records.list('quorum-values/')) remember(record)
  let watching = inService()

  records.onCommit((entries, origin) => {
    for (const entry of origin === 'peer' && watching ? entries : []) {
      const service = serviceOf(entry.path)
      if (!service) continue
      const event = look(entry, service)
      if (event) note(event)
    }
    entries.forEach(remember)
    watching = inService()
  })

  /** The event to be written down, if there is anything to say. */
  function look(change: Held, service: AdminService): AuditEvent | undefined {
    const beside = store.get(approvalsPath(change.at))
    const spent = beside?.value && areOf(beside.version, change.version) ? decodeApprovals(beside.value) : undefined
    const required = requiredOf(change, service)
    if (!spent && (required <= 1 || !alwaysNeedsApprovals(change))) return undefined
    const judged: Judged = spent
      ? judge(change, service, spent, required)
      : { approvers: [], flaw: `the service ${service} asks for ${required} approvals, and none came with the change` }
    return {
      opcode: 'SR_PEER_CHANGE',
      operation: 'replication',
      session: 0,
      by: judged.requester,
      refusal: judged.flaw === undefined ? undefined : { code: spent ? 'QuorumFailed' : 'QuorumRequired' },
      details: {
        kind: 'peer-change',
        record: change.path,
        hsmId: change.version.hsmId,
        approvers: judged.approvers,
        reason: judged.flaw,
      },
    }
  }

  function judge(change: Held, service: AdminService, spent: SpentApprovals, required: number): Judged {
    const records = recordsIn(spent.approvalData) ?? []
    const [first] = records
    const requester = first && usernameIn(first)
    const approvers = [
      ...new Set(spent.signatures.filter((each) => signed(each, spent)).map(({ username }) => username)),
    ]
    const flaw = () => {
      const same = records.every((record) => serviceIn(record) === service && usernameIn(record) === requester)
      if (!first || !same) return `they are not for the service ${service}`
      if (hsmNumberIn(first) !== hsmNumber(change.version.hsmId)) return 'they were given for another HSM'
      if (spentElsewhere(change, spent)) return 'they were spent on another change before'
      if (approvers.length < required)
        return `${approvers.length} of ${required} verify with the keys that this HSM knows`
      return undefined
    }
    return { requester, approvers, flaw: flaw() }
  }

  /** With a key that the admin had before this commit, or has by now. */
  function signed({ username, role, signature }: Caller & { signature: Uint8Array }, { approvalData }: SpentApprovals) {
    const path = userPath(username)
    return [users.get(path), records.get(path)].some((record) => {
      const key = role === 'admin' && record?.value && approvalKeyIn(decodeUser(record.value), role)
      return key ? isSignedToken(key, approvalData, signature) : false
    })
  }

  /** A token can be spent once: the same one beside another record was spent twice. */
  function spentElsewhere({ at }: Held, { approvalData }: SpentApprovals): boolean {
    const token = tokenOf(approvalData)
    return [...store.list(APPROVALS)].some((record) => {
      const other = record.path === approvalsPath(at) ? undefined : record.value && decodeApprovals(record.value)
      return other !== undefined && tokenOf(other.approvalData).equals(token)
    })
  }

  /** A value that was set later than the change, or may have been, says nothing about it. */
  function requiredOf({ version }: Held, service: AdminService): number {
    const path = valuePath(service)
    const now = records.get(path)
    const before = values.get(path)
    if (now && now.version.counter > version.counter) return 1
    return before && before.version.counter < version.counter ? requiredBy(before) : 1
  }

  /** Users change their own passwords and keys alone: only who comes and who goes must have been approved. */
  function alwaysNeedsApprovals({ path, value }: Held): boolean {
    if (usernameOf(path) === undefined) return true
    return (value === undefined) !== (users.get(path)?.value === undefined)
  }
}
