/** Approvals by several users (data-plane reference §5). */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { ADMIN_SERVICES, MAX_TOKEN_RECORDS, QUORUM_SERVICES, TOKEN_RECORD_BYTES } from '../quorum.ts'
import { bytes, keyHandle, role, tokenSignature, username } from '../values.ts'

const none = z.strictObject({})
const record = bytes(TOKEN_RECORD_BYTES, TOKEN_RECORD_BYTES)

/** Signatures of one file: more users than any threshold asks for. */
export const MAX_SIGNATURES = 64

export const approval = z.strictObject({ username, role, signature: tokenSignature })
export type Approval = z.infer<typeof approval>

export const quorumTokenInfo = z.object({
  username: z.string(),
  service: z.enum(QUORUM_SERVICES),
  /** Of key services. */
  handle: keyHandle.optional(),
  approvalsRequired: z.number(),
  approvals: z.number(),
  secondsLeft: z.number(),
})
export type QuorumTokenInfo = z.infer<typeof quorumTokenInfo>

export const quorumOperations = {
  /** Thresholds of admin services: those that the HSM type has. Anyone. */
  'quorum-list-values': {
    params: none,
    result: z.object({ values: z.partialRecord(z.enum(ADMIN_SERVICES), z.number()) }),
  },
  /** InvalidRequest for a value over 8 or over the number of admins. 1 asks for no approval. */
  'quorum-set-value': {
    params: z.strictObject({ service: z.enum(ADMIN_SERVICES), value: z.number().int() }),
    result: none,
  },
  /**
   * This HSM's part of a token. It belongs to the login of this connection and ends with it, and when the members of the
   * cluster change. `handle` for key services and only for those.
   */
  'quorum-token-generate': {
    params: z.strictObject({ service: z.enum(QUORUM_SERVICES), handle: keyHandle.optional() }),
    result: z.object({ record }),
  },
  /**
   * Hands in what users signed; replaces what was handed in for the token before. QuorumFailed when the token is not of
   * this login, a signature does not verify, or a signer has no say. `spendable`: this HSM is the one to spend it on.
   */
  'quorum-approve': {
    params: z.strictObject({
      approvalData: bytes(TOKEN_RECORD_BYTES * MAX_TOKEN_RECORDS, TOKEN_RECORD_BYTES),
      signatures: z.array(approval).max(MAX_SIGNATURES),
    }),
    result: z.object({ approvals: z.number(), spendable: z.boolean() }),
  },
  /** For admins every token of this HSM, for crypto users their own and those for keys they see. */
  'quorum-token-list': { params: none, result: z.object({ tokens: z.array(quorumTokenInfo) }) },
  /** `user`: the caller's own, `all`: everybody's, on this HSM. */
  'quorum-token-delete': { params: z.strictObject({ scope: z.enum(['user', 'all']) }), result: none },
  /** Gives up one token of this login; nothing happens when there is none. */
  'quorum-token-drop': { params: z.strictObject({ record }), result: none },
} as const satisfies OperationTable
