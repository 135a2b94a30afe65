/**
 * The peer port (2224): what HSMs of one cluster ask of each other. Mutual TLS 1.3 with device certificates; both sides
 * must be in the signed list of members.
 *
 * An HSM that is in service greets first; one that is still joining does not, and so is not taken for a holder of what
 * it has pulled. Values travel under the cluster's masking key inside TLS.
 */
import { z } from 'zod'
import { auditHead } from '../../../provider-schema/audit-file.ts'
import type { OperationTable } from '../protocol/envelope.ts'
import { signedMembership } from '../protocol/management-operations.ts'
import { bytes } from '../protocol/values.ts'

/** Records of one `push`, names of one `pull`. */
export const BATCH_RECORDS = 1000
/** Sealed bytes of one batch, but for a last record that exceeds them: well below what a frame may hold. */
export const BATCH_BYTES = 1024 * 1024
const MAX_RECORD_BYTES = 1024 * 1024

const none = z.strictObject({})
const path = z.string().min(1).max(512)
const hsmId = z.string().min(1).max(64)
/** A counter of an honest HSM never gets near the bound: a wrong one must not use up the numbers of all. */
const version = z.object({
  counter: z
    .number()
    .int()
    .min(0)
    .max(2 ** 48),
  hsmId,
})
const seq = z.number().int().min(0)
const incarnation = z.string().max(64)

/** A record's name and version, without its value. */
const listing = z.object({ seq, path, version, deleted: z.boolean() })
export type Listing = z.infer<typeof listing>

const sealedRecord = z.object({ path, version, deleted: z.boolean(), sealed: bytes(MAX_RECORD_BYTES) })
export type SealedRecord = z.infer<typeof sealedRecord>
const sealedRecords = z.array(sealedRecord).max(BATCH_RECORDS)

export const peerOperations = {
  /**
   * Says that the caller is a member in service. `incarnation` names a store for its life: with another one, positions
   * in its feed mean nothing any more. WrongState while the callee is in no cluster. `carries`: services whose changes the
   * callee sends with what was signed; HSMs of before that say nothing.
   */
  greet: {
    params: z.strictObject({ clusterId: z.string(), incarnation, epoch: z.number() }),
    result: z.object({ incarnation, epoch: z.number(), carries: z.array(z.string().max(64)).max(16).optional() }),
  },
  /** A newer list of members, for whom the control plane has not reached. */
  membership: { params: signedMembership, result: z.object({ epoch: z.number() }) },
  /**
   * New records of the caller, its own. Answers when they are on the callee's disk. QuorumRequired, QuorumFailed: a change of
   * them was not taken over, for want of approvals, all others were; Busy: none was, the callee is behind and cannot tell
   * yet, and will pull them.
   */
  push: { params: z.strictObject({ records: sealedRecords }), result: none },
  /**
   * What the callee's feed has behind `after`. A caller that has greeted says with it that all up to `after` is on its
   * own disk. `auditHead`: how far the callee's audit log is, for the caller's to say so.
   */
  pull: {
    params: z.strictObject({ after: seq, limit: z.number().int().min(1).max(BATCH_RECORDS) }),
    result: z.object({ listings: z.array(listing).max(BATCH_RECORDS), auditHead: auditHead.optional() }),
  },
  /** The records of some paths as they stand now: of the first ones, at least one, that fit into one answer. */
  fetch: {
    params: z.strictObject({ paths: z.array(path).min(1).max(BATCH_RECORDS) }),
    result: z.object({ records: sealedRecords }),
  },
  /** The cluster identity, masking key included, for a blank member. `value` is the record's, not sealed further. */
  join: {
    params: z.strictObject({ clusterId: z.string() }),
    result: z.object({ version, value: bytes(MAX_RECORD_BYTES) }),
  },
} as const satisfies OperationTable

export type PeerOperations = typeof peerOperations
