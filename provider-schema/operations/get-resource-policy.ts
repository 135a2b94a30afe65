/** GetResourcePolicy: the policy of a shared backup. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const getResourcePolicy = operationSpec({
  name: 'GetResourcePolicy',
  input: z.object({
    ResourceArn: s.optional(s.resourceArn),
  }),
  output: z.object({
    Policy: z.string(),
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
