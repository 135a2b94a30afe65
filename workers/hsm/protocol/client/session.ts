/** Connections and logins. */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { bytes, member, password, role, tokenSignature, username } from '../values.ts'

const none = z.strictObject({})

export const sessionOperations = {
  /** First request of a connection. `client` is what the software calls itself, `name/version`. Anyone. */
  hello: {
    params: z.strictObject({ client: z.string().max(128), protocol: z.literal(1) }),
    result: z.object({
      protocol: z.literal(1),
      hsmId: z.string(),
      clusterId: z.string(),
      hsmType: z.string(),
      mode: z.enum(['FIPS', 'NON_FIPS']),
      activated: z.boolean(),
      /** Every HSM of the cluster, this one included. A change is told by the event `members`. */
      members: z.array(member),
    }),
  },
  /** Sets the first admin's password; only while the cluster was never activated. Anyone. */
  activate: { params: z.strictObject({ password }), result: none },
  /**
   * LoginFailed, UserLocked, MfaRequired. `mfaSignature` is over the token that this connection got last. A connection
   * that is logged in must log out first.
   */
  login: {
    params: z.strictObject({ username, role, password: z.string().max(64), mfaSignature: tokenSignature.optional() }),
    result: z.object({ username: z.string(), role }),
  },
  /**
   * A token to sign for one login of this user on this connection, or to register a key with: SHA-256, to be signed as
   * the digest (RSASSA-PKCS1-v1_5). One a connection; the next one replaces it. Anyone.
   */
  'mfa-token-generate': {
    params: z.strictObject({ username, role }),
    result: z.object({ token: bytes(32, 32) }),
  },
  /** WrongState while a login is under way on this connection: its answer comes first. */
  logout: { params: none, result: none },
  /** Strings as `cluster hsm-info` prints them, by its names. Anyone. */
  'hsm-info': { params: none, result: z.record(z.string(), z.string()) },
} as const satisfies OperationTable
