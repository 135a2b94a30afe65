/** CreateCluster: makes a cluster without HSMs; from a backup when one is named. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const createCluster = operationSpec({
  name: 'CreateCluster',
  input: z.object({
    HsmType: s.hsmType,
    SubnetIds: z.array(s.subnetId).min(1).max(10),
    BackupRetentionPolicy: s.optional(s.retentionPolicy),
    SourceBackupId: s.optional(s.backupIdOrArn),
    NetworkType: s.optional(s.networkType),
    TagList: s.optional(s.tagList),
    Mode: s.optional(s.clusterMode),
  }),
  output: z.object({
    Cluster: s.cluster,
  }),
  errors: ERRORS_OF.onTaggable,
  available: true,
})
