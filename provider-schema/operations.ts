/** All operations of CloudHSM v2, by name. */
import { copyBackupToRegion } from './operations/copy-backup-to-region.ts'
import { createCluster } from './operations/create-cluster.ts'
import { createHsm } from './operations/create-hsm.ts'
import { deleteBackup } from './operations/delete-backup.ts'
import { deleteCluster } from './operations/delete-cluster.ts'
import { deleteHsm } from './operations/delete-hsm.ts'
import { deleteResourcePolicy } from './operations/delete-resource-policy.ts'
import { describeBackups } from './operations/describe-backups.ts'
import { describeClusters } from './operations/describe-clusters.ts'
import { getResourcePolicy } from './operations/get-resource-policy.ts'
import { initializeCluster } from './operations/initialize-cluster.ts'
import { listTags } from './operations/list-tags.ts'
import { modifyBackupAttributes } from './operations/modify-backup-attributes.ts'
import { modifyCluster } from './operations/modify-cluster.ts'
import { putResourcePolicy } from './operations/put-resource-policy.ts'
import { restoreBackup } from './operations/restore-backup.ts'
import { tagResource } from './operations/tag-resource.ts'
import { untagResource } from './operations/untag-resource.ts'

export const OPERATIONS = {
  CreateCluster: createCluster,
  DescribeClusters: describeClusters,
  InitializeCluster: initializeCluster,
  ModifyCluster: modifyCluster,
  DeleteCluster: deleteCluster,
  CreateHsm: createHsm,
  DeleteHsm: deleteHsm,
  DescribeBackups: describeBackups,
  CopyBackupToRegion: copyBackupToRegion,
  DeleteBackup: deleteBackup,
  RestoreBackup: restoreBackup,
  ModifyBackupAttributes: modifyBackupAttributes,
  GetResourcePolicy: getResourcePolicy,
  PutResourcePolicy: putResourcePolicy,
  DeleteResourcePolicy: deleteResourcePolicy,
  ListTags: listTags,
  TagResource: tagResource,
  UntagResource: untagResource,
} as const

export type OperationName = keyof typeof OPERATIONS
