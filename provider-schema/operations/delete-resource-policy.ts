/** DeleteResourcePolicy: ends the sharing of a backup. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const deleteResourcePolicy = operationSpec({
  name: 'DeleteResourcePolicy',
  input: z.object({
    ResourceArn: s.optional(s.resourceArn),
  }),
  output: z.object({
    ResourceArn: z.string(),
    Policy: z.string(),
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
