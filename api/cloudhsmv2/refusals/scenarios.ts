/**
 * What becomes of a right request of a caller who may, in every state that its resource can be in (control-plane
 * reference §1.3, §2). Every pair of operation and state stands here: one that is not named is refused.
 */
import type { OperationName } from '../../../provider-schema/operations.ts'
import type { BackupState, ClusterState, HsmState } from '../../../provider-schema/states.ts'

/** What a scenario's request names. `never`: an id that nothing has. */
export interface Named {
  readonly clusterId: string
  readonly hsmId: string
  readonly backupId: string
  readonly backupArn: string
  readonly signedCert: string
  readonly trustAnchor: string
}

type Request = (named: Named) => Readonly<Record<string, unknown>>

interface Base {
  readonly operation: OperationName
  /** When an operation has several scenarios. */
  readonly when?: string
  readonly request: Request
}

export type Scenario = Base &
  (
    | { readonly on: 'cluster'; readonly hsm?: HsmState; readonly done: readonly ClusterState[] }
    /** An HSM of an ACTIVE cluster. */
    | { readonly on: 'hsm'; readonly done: readonly HsmState[] }
    | { readonly on: 'backup'; readonly done: readonly BackupState[] }
    /** Needs nothing that is there. Its subnets are the account's. */
    | { readonly on: 'nothing'; readonly forAnother: 'done' | 'refused' }
  )

const AT_REST = ['UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED'] as const
const UNTIL_DELETED = [
  ...AT_REST,
  ...(['CREATE_IN_PROGRESS', 'INITIALIZE_IN_PROGRESS', 'UPDATE_IN_PROGRESS'] as const),
  ...(['MODIFY_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS', 'DELETE_IN_PROGRESS'] as const),
]
const BACKUP_UNTIL_DELETED = ['CREATE_IN_PROGRESS', 'READY', 'PENDING_DELETION'] as const

export const TAGS = [{ Key: 'team', Value: 'hsm' }]
export const NEW_CLUSTER = {
  HsmType: 'hsm2m.medium',
  SubnetIds: ['subnet-0a0a0a0a0a0a0a0a1', 'subnet-0a0a0a0a0a0a0a0a2'],
}
const ZONE = 'us-east-1a'

const policyOn = (arn: string) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: { AWS: '222222222222' }, Action: 'cloudhsm:CreateCluster', Resource: arn },
    ],
  })

const ofCluster: Request = ({ clusterId }) => ({ ClusterId: clusterId })
const ofBackup: Request = ({ backupId }) => ({ BackupId: backupId })
const ofArn: Request = ({ backupArn }) => ({ ResourceArn: backupArn })

export const SCENARIOS: readonly Scenario[] = [
  { operation: 'CreateCluster', on: 'nothing', forAnother: 'refused', request: () => NEW_CLUSTER },
  {
    operation: 'CreateCluster',
    when: 'from a backup',
    on: 'backup',
    request: ({ backupId }) => ({ ...NEW_CLUSTER, SourceBackupId: backupId }),
    done: ['READY'],
  },
  {
    operation: 'CreateCluster',
    when: 'from a backup named by ARN',
    on: 'backup',
    request: ({ backupArn }) => ({ ...NEW_CLUSTER, SourceBackupId: backupArn }),
    done: ['READY'],
  },
  { operation: 'DescribeClusters', on: 'nothing', forAnother: 'done', request: () => ({}) },
  { operation: 'DescribeBackups', on: 'nothing', forAnother: 'done', request: () => ({}) },
  {
    operation: 'InitializeCluster',
    when: 'with an ACTIVE HSM',
    on: 'cluster',
    hsm: 'ACTIVE',
    request: (named) => ({ ...ofCluster(named), SignedCert: named.signedCert, TrustAnchor: named.trustAnchor }),
    done: ['UNINITIALIZED'],
  },
  {
    operation: 'InitializeCluster',
    when: 'while its HSM is being created',
    on: 'cluster',
    hsm: 'CREATE_IN_PROGRESS',
    request: (named) => ({ ...ofCluster(named), SignedCert: named.signedCert, TrustAnchor: named.trustAnchor }),
    done: [],
  },
  {
    operation: 'ModifyCluster',
    when: 'retention',
    on: 'cluster',
    request: (named) => ({ ...ofCluster(named), BackupRetentionPolicy: { Type: 'DAYS', Value: '30' } }),
    done: AT_REST,
  },
  {
    operation: 'ModifyCluster',
    when: 'HSM type',
    on: 'cluster',
    request: (named) => ({ ...ofCluster(named), HsmType: 'hsm2m.medium' }),
    done: ['ACTIVE'],
  },
  {
    operation: 'ModifyCluster',
    when: 'HSM type, with an ACTIVE HSM',
    on: 'cluster',
    hsm: 'ACTIVE',
    request: (named) => ({ ...ofCluster(named), HsmType: 'hsm2m.medium' }),
    done: ['ACTIVE'],
  },
  {
    operation: 'ModifyCluster',
    when: 'HSM type, while an HSM is removed',
    on: 'cluster',
    hsm: 'DELETE_IN_PROGRESS',
    request: (named) => ({ ...ofCluster(named), HsmType: 'hsm2m.medium' }),
    done: [],
  },
  { operation: 'DeleteCluster', on: 'cluster', request: ofCluster, done: AT_REST },
  { operation: 'DeleteCluster', when: 'with an HSM', on: 'cluster', hsm: 'ACTIVE', request: ofCluster, done: [] },
  {
    operation: 'DeleteCluster',
    when: 'while its last HSM leaves',
    on: 'cluster',
    hsm: 'DELETE_IN_PROGRESS',
    request: ofCluster,
    done: [],
  },
  {
    operation: 'CreateHsm',
    when: 'the first',
    on: 'cluster',
    request: (named) => ({ ...ofCluster(named), AvailabilityZone: ZONE }),
    done: ['UNINITIALIZED', 'ACTIVE', 'DEGRADED'],
  },
  {
    operation: 'CreateHsm',
    when: 'the second',
    on: 'cluster',
    hsm: 'ACTIVE',
    request: (named) => ({ ...ofCluster(named), AvailabilityZone: ZONE }),
    done: ['ACTIVE', 'DEGRADED'],
  },
  {
    operation: 'DeleteHsm',
    on: 'cluster',
    hsm: 'ACTIVE',
    request: (named) => ({ ...ofCluster(named), HsmId: named.hsmId }),
    done: AT_REST,
  },
  {
    operation: 'DeleteHsm',
    when: 'by the state of the HSM',
    on: 'hsm',
    request: (named) => ({ ...ofCluster(named), HsmId: named.hsmId }),
    done: ['CREATE_IN_PROGRESS', 'ACTIVE', 'DEGRADED'],
  },
  {
    operation: 'CopyBackupToRegion',
    on: 'backup',
    request: (named) => ({ ...ofBackup(named), DestinationRegion: 'eu-west-1' }),
    done: ['READY'],
  },
  { operation: 'DeleteBackup', on: 'backup', request: ofBackup, done: ['READY'] },
  { operation: 'RestoreBackup', on: 'backup', request: ofBackup, done: ['PENDING_DELETION'] },
  {
    operation: 'ModifyBackupAttributes',
    on: 'backup',
    request: (named) => ({ ...ofBackup(named), NeverExpires: true }),
    done: ['READY', 'PENDING_DELETION'],
  },
  { operation: 'GetResourcePolicy', on: 'backup', request: ofArn, done: BACKUP_UNTIL_DELETED },
  {
    operation: 'PutResourcePolicy',
    on: 'backup',
    request: (named) => ({ ...ofArn(named), Policy: policyOn(named.backupArn) }),
    done: ['READY'],
  },
  { operation: 'DeleteResourcePolicy', on: 'backup', request: ofArn, done: BACKUP_UNTIL_DELETED },
  {
    operation: 'ListTags',
    when: 'of a cluster',
    on: 'cluster',
    request: ({ clusterId }) => ({ ResourceId: clusterId }),
    done: UNTIL_DELETED,
  },
  {
    operation: 'ListTags',
    when: 'of a backup',
    on: 'backup',
    request: ({ backupId }) => ({ ResourceId: backupId }),
    done: BACKUP_UNTIL_DELETED,
  },
  {
    operation: 'TagResource',
    when: 'a cluster',
    on: 'cluster',
    request: ({ clusterId }) => ({ ResourceId: clusterId, TagList: TAGS }),
    done: UNTIL_DELETED,
  },
  {
    operation: 'TagResource',
    when: 'a backup',
    on: 'backup',
    request: ({ backupId }) => ({ ResourceId: backupId, TagList: TAGS }),
    done: BACKUP_UNTIL_DELETED,
  },
  {
    operation: 'UntagResource',
    when: 'a cluster',
    on: 'cluster',
    request: ({ clusterId }) => ({ ResourceId: clusterId, TagKeyList: ['team'] }),
    done: UNTIL_DELETED,
  },
  {
    operation: 'UntagResource',
    when: 'a backup',
    on: 'backup',
    request: ({ backupId }) => ({ ResourceId: backupId, TagKeyList: ['team'] }),
    done: BACKUP_UNTIL_DELETED,
  },
]

/** A right value of every member that any operation has: what constraints are broken in. */
export const COMPLETE = {
  ...NEW_CLUSTER,
  AvailabilityZone: ZONE,
  BackupId: 'backup-aaaaaaaaaaa',
  BackupRetentionPolicy: { Type: 'DAYS', Value: '30' },
  ClusterId: 'cluster-aaaaaaaaaaa',
  DestinationRegion: 'eu-west-1',
  EniId: 'eni-0a0a0a0a',
  EniIp: '10.0.0.5',
  Filters: { states: ['ACTIVE'] },
  HsmId: 'hsm-aaaaaaaaaaa',
  IpAddress: '10.0.0.5',
  MaxResults: 1,
  Mode: 'FIPS',
  NetworkType: 'IPV4',
  NeverExpires: true,
  NextToken: 'token',
  Policy: '{}',
  ResourceArn: 'arn:aws:cloudhsm:us-east-1:000000000000:backup/backup-aaaaaaaaaaa',
  ResourceId: 'cluster-aaaaaaaaaaa',
  Shared: true,
  SignedCert: 'certificate',
  SortAscending: true,
  SourceBackupId: 'backup-aaaaaaaaaaa',
  TagKeyList: ['team'],
  TagList: TAGS,
  TrustAnchor: 'certificate',
} as const satisfies Readonly<Record<string, unknown>>
