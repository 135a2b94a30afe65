/** DeleteCluster: deletes a cluster that has no HSM any more. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const deleteCluster = operationSpec({
  name: 'DeleteCluster',
  input: z.object({
    ClusterId: s.clusterId,
  }),
  output: z.object({
    Cluster: s.cluster,
  }),
  errors: ERRORS_OF.onTaggable,
  available: true,
})
