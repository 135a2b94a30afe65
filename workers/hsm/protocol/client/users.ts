/** Users of a cluster. */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { password, role, userInfo, username } from '../values.ts'

const none = z.strictObject({})

export const userOperations = {
  'user-list': { params: none, result: z.object({ users: z.array(userInfo) }) },
  'user-create': {
    params: z.strictObject({ username, role, password }),
    result: z.object({ username: z.string(), role }),
  },
  'user-delete': { params: z.strictObject({ username, role }), result: z.object({ username: z.string(), role }) },
  'user-change-password': {
    params: z.strictObject({ username, role, password }),
    result: z.object({ username: z.string(), role }),
  },
} as const satisfies OperationTable
