/** Users of a cluster. */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { bytes, password, role, tokenSignature, tokenSignKey, userInfo, username } from '../values.ts'
import { TOKEN_RECORD_BYTES } from '../quorum.ts'

const none = z.strictObject({})

export const userOperations = {
  'user-list': { params: none, result: z.object({ users: z.array(userInfo) }) },
  'user-create': {
    params: z.strictObject({ username, role, password }),
    result: z.object({ username: z.string(), role }),
  },
  'user-delete': { params: z.strictObject({ username, role }), result: z.object({ username: z.string(), role }) },
  'user-change-password': {
    params: z.strictObject({
      username,
      role,
      password,
      deregisterMfa: z.boolean().default(false),
      deregisterQuorum: z.boolean().default(false),
    }),
    result: z.object({ username: z.string(), role }),
  },
  /**
   * Registers a key for logins, shown by a signature over a token of `mfa-token-generate`, or with no `registration`
   * ends the need for one. `changeQuorum`: the key is to be the one for approvals as well.
   */
  'user-change-mfa': {
    params: z.strictObject({
      username,
      role,
      registration: z
        .strictObject({ publicKey: tokenSignKey, signature: tokenSignature, changeQuorum: z.boolean().default(false) })
        .optional(),
      password: password.optional(),
    }),
    result: z.object({ username: z.string(), role }),
  },
  /** Registers the caller's key for approvals. `record` is a token for the service `registration`, signed with it. */
  'user-register-quorum-key': {
    params: z.strictObject({
      record: bytes(TOKEN_RECORD_BYTES, TOKEN_RECORD_BYTES),
      publicKey: tokenSignKey,
      signature: tokenSignature,
    }),
    result: z.object({ username: z.string(), role }),
  },
} as const satisfies OperationTable
