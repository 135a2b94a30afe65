/** Connections and logins. */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { member, password, role, username } from '../values.ts'

const none = z.strictObject({})

export const sessionOperations = {
  /** First request of a connection. Anyone. */
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
  /** LoginFailed, UserLocked. A connection that is logged in must log out first. */
  login: {
    params: z.strictObject({ username, role, password: z.string().max(64) }),
    result: z.object({ username: z.string(), role }),
  },
  logout: { params: none, result: none },
  /** Strings as `cluster hsm-info` prints them, by its names. Anyone. */
  'hsm-info': { params: none, result: z.record(z.string(), z.string()) },
} as const satisfies OperationTable
