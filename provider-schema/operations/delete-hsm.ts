/** DeleteHsm: takes an HSM out of its cluster and destroys it. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const deleteHsm = operationSpec({
  name: 'DeleteHsm',
  input: z.object({
    ClusterId: s.clusterId,
    HsmId: s.optional(s.hsmId),
    EniId: s.optional(s.eniId),
    EniIp: s.optional(s.ipAddress),
  }),
  output: z.object({
    HsmId: s.hsmId,
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
