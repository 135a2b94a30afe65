/**
 * The approvals that a change of users, quorum values or mTLS was made with: a record that is written right before the
 * changed one, in the same commit, so that every HSM of the cluster gets to see who approved and can check the signatures.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { approval, MAX_SIGNATURES } from '../protocol/client/quorum.ts'
import { MAX_TOKEN_RECORDS, TOKEN_RECORD_BYTES, type AdminService } from '../protocol/quorum.ts'
import { bytes } from '../protocol/values.ts'
import type { RecordVersion } from '../vault/record-store.ts'
import { subjectOf } from '../vault/statements.ts'
import { usernameOf } from '../vault/user-record.ts'
import { isQuorumValue } from './value-record.ts'

const packr = new Packr({ useRecords: false })
export const APPROVALS = 'approvals/'

/** As records keep it. Fields may be added; none may change its meaning. */
const spentApprovals = z.object({
  /** What the signatures are over. */
  approvalData: bytes(TOKEN_RECORD_BYTES * MAX_TOKEN_RECORDS, TOKEN_RECORD_BYTES),
  signatures: z.array(approval).max(MAX_SIGNATURES),
})
export type SpentApprovals = z.infer<typeof spentApprovals>

/** Where the approvals of a record's newest state stand, of a statement those of its own. */
export const approvalsPath = (changed: string) => APPROVALS + changed

/** Whose approvals a change of the record may need; undefined for what never does. */
export function serviceOf(path: string): AdminService | undefined {
  if (usernameOf(path) !== undefined) return 'user'
  if (isQuorumValue(path)) return 'quorum'
  return path.startsWith('mtls/') ? 'cluster' : undefined
}

/** Undefined when the bytes are no approvals. */
export function decodeApprovals(value: Uint8Array): SpentApprovals | undefined {
  try {
    return spentApprovals.safeParse(packr.unpack(value)).data
  } catch {
    return undefined
  }
}

interface Change {
  readonly path: string
  readonly value: Uint8Array | undefined
}

/** What the work under way spends. So no write of an approved operation can forget to take its approvals along. */
const spending = new AsyncLocalStorage<SpentApprovals>()

/** Gives what the work gives; the records that it writes take the approvals along. */
export function takingAlong<Result>(approvals: SpentApprovals, work: () => Result): Result {
  return spending.run(approvals, work)
}

/** The changes as they are to be written: each behind the approvals of the work under way, if that spends any. */
export function withApprovals(changes: readonly Change[]): Change[] {
  const approvals = spending.getStore()
  if (!approvals) return [...changes]
  const value = packr.pack(approvals)
  return changes.flatMap((change) =>
    serviceOf(subjectOf(change.path)) ? [{ path: approvalsPath(change.path), value }, change] : [change],
  )
}

/** Whether approvals and change were written in one commit, by this rule: versions of one HSM, one behind the other. */
export function areOf(approvals: RecordVersion, change: RecordVersion): boolean {
  return approvals.hsmId === change.hsmId && approvals.counter + 1 === change.counter
}
