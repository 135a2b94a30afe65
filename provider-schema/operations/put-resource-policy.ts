/** PutResourcePolicy: shares a backup with other accounts. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const putResourcePolicy = operationSpec({
  name: 'PutResourcePolicy',
  input: z.object({
    ResourceArn: s.optional(s.resourceArn),
    Policy: s.optional(z.string().min(1).max(20_000)),
  }),
  output: z.object({
    ResourceArn: z.string(),
    Policy: z.string(),
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
