/** CreateHsm: adds an HSM to a cluster. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const createHsm = operationSpec({
  name: 'CreateHsm',
  input: z.object({
    ClusterId: s.clusterId,
    AvailabilityZone: s.availabilityZone,
    IpAddress: s.optional(s.ipAddress),
  }),
  output: z.object({
    Hsm: s.hsm,
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
