/** ModifyCluster: changes retention of backups, or the type of all HSMs. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const modifyCluster = operationSpec({
  name: 'ModifyCluster',
  input: z.object({
    ClusterId: s.clusterId,
    HsmType: s.optional(s.hsmType),
    BackupRetentionPolicy: s.optional(s.retentionPolicy),
  }),
  output: z.object({
    Cluster: s.cluster,
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
