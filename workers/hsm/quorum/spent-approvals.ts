/**
 * What was signed for a change of users, quorum values, mTLS or keys: the approvals that it was made with, or the proof that
 * whoever registers a key for approvals has it. A record that is written right before the changed one, in the same commit, so
 * that every HSM of the cluster gets to see it and can check the signatures.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { approval, MAX_SIGNATURES } from '../protocol/client/quorum.ts'
import { MAX_TOKEN_RECORDS, TOKEN_RECORD_BYTES, type AdminService } from '../protocol/quorum.ts'
import { bytes, tokenSignature } from '../protocol/values.ts'
import type { RecordVersion } from '../vault/record-store.ts'
import { changedHandle } from '../vault/key-changes.ts'
import { subjectOf } from '../vault/statements.ts'
import { usernameOf } from '../vault/user-record.ts'
import { isQuorumValue } from './value-record.ts'

const packr = new Packr({ useRecords: false })
export const APPROVALS = 'approvals/'

/** Changed records of one operation: more than the attributes of a key. */
const MAX_CHANGES = 64

/** What the operation changes: an approval is spent on these and, when they are taken back, on what stood before. */
const change = z.object({
  path: z.string().max(512),
  /** SHA-256 of the value that stood before; left out when there was none. */
  before: bytes(32, 32).optional(),
})
export type SpentOn = z.infer<typeof change>

/** As records keep it. Fields may be added; none may change its meaning. */
const spentApprovals = z.object({
  /** What the signatures are over. */
  approvalData: bytes(TOKEN_RECORD_BYTES * MAX_TOKEN_RECORDS, TOKEN_RECORD_BYTES),
  signatures: z.array(approval).max(MAX_SIGNATURES),
  /** Not known of HSMs of before. */
  changes: z.array(change).max(MAX_CHANGES).optional(),
})
export type SpentApprovals = z.infer<typeof spentApprovals>

/** A signature with the key that was registered, over a token that this HSM had given to the user. */
const registration = z.object({
  registration: z.object({ preimage: bytes(512, 1), signature: tokenSignature }),
  changes: z.array(change).max(MAX_CHANGES).optional(),
})
export type Registration = z.infer<typeof registration>

/** Where the approvals of a record's newest state stand, of a statement those of its own. */
export const approvalsPath = (changed: string) => APPROVALS + changed

/** Whose approvals a change of the record may need; undefined for what never does. */
export function serviceOf(path: string): AdminService | 'key-management' | undefined {
  if (changedHandle(path) !== undefined) return 'key-management'
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

/** Undefined when the bytes are none. */
export function decodeRegistration(value: Uint8Array): Registration | undefined {
  try {
    return registration.safeParse(packr.unpack(value)).data
  } catch {
    return undefined
  }
}

interface Change {
  readonly path: string
  readonly value: Uint8Array | undefined
}

export const hashOf = (value: Uint8Array): Buffer => createHash('sha256').update(value).digest()

/** What the work under way spends. So no write of an approved operation can forget to take its approvals along. */
const spending = new AsyncLocalStorage<SpentApprovals | Registration>()

/** Gives what the work gives; the records that it writes take what was signed along. */
export function takingAlong<Result>(signed: SpentApprovals | Registration, work: () => Result): Result {
  return spending.run(signed, work)
}

/**
 * The changes as they are to be written: each behind what was signed for the work under way, if anything was. `before` is
 * what stood when the operation began, also where its changes are taken back.
 */
export function withApprovals(changes: readonly Change[], before: readonly Change[] = []): Change[] {
  const signed = spending.getStore()
  if (!signed) return [...changes]
  const of = before.map(({ path, value }): SpentOn => ({ path, ...(value && { before: hashOf(value) }) }))
  const value = packr.pack(of.length === 0 ? signed : { ...signed, changes: of })
  return changes.flatMap((change) =>
    serviceOf(subjectOf(change.path)) ? [{ path: approvalsPath(change.path), value }, change] : [change],
  )
}

/** Whether approvals and change were written in one commit, by this rule: versions of one HSM, one behind the other. */
export function areOf(approvals: RecordVersion, change: RecordVersion): boolean {
  return approvals.hsmId === change.hsmId && approvals.counter + 1 === change.counter
}
