/**
 * What each operation asks of IAM: the action `cloudhsm:<operation>` on the resource that its request names (service
 * authorization reference, "AWS CloudHSM").
 */
import { ID_PATTERNS } from './ids.ts'
import type { OperationName } from './operations.ts'

export type AccessSpec =
  /** A listing: it is for all or for none, the resource is `*`. */
  | { readonly on: '*' }
  /** The resource that a member names by id, of the caller's account and this region. */
  | { readonly on: 'cluster' | 'backup' | 'taggable'; readonly member: string }
  /** The resource whose ARN a member holds. */
  | { readonly on: 'arn'; readonly member: string }
  /** A cluster that is not there yet; or, when the member names a backup by id or ARN, that backup. */
  | { readonly on: 'new-cluster'; readonly member: string }

export type Access = AccessSpec & {
  /** Member that holds tags, or keys of tags, which policies may look at. */
  readonly tags?: { readonly member: string; readonly of: 'pairs' | 'keys' }
  /** Tags that are given need cloudhsm:TagResource as well, on what is made. */
  readonly tagsOnCreate?: 'cluster' | 'backup'
}

const PAIRS = { member: 'TagList', of: 'pairs' } as const

export const ACCESS = {
  CreateCluster: { on: 'new-cluster', member: 'SourceBackupId', tags: PAIRS, tagsOnCreate: 'cluster' },
  DescribeClusters: { on: '*' },
  InitializeCluster: { on: 'cluster', member: 'ClusterId' },
  ModifyCluster: { on: 'cluster', member: 'ClusterId' },
  DeleteCluster: { on: 'cluster', member: 'ClusterId' },
  CreateHsm: { on: 'cluster', member: 'ClusterId' },
  DeleteHsm: { on: 'cluster', member: 'ClusterId' },
  DescribeBackups: { on: '*' },
  CopyBackupToRegion: { on: 'backup', member: 'BackupId', tags: PAIRS, tagsOnCreate: 'backup' },
  DeleteBackup: { on: 'backup', member: 'BackupId' },
  RestoreBackup: { on: 'backup', member: 'BackupId' },
  ModifyBackupAttributes: { on: 'backup', member: 'BackupId' },
  GetResourcePolicy: { on: 'arn', member: 'ResourceArn' },
  PutResourcePolicy: { on: 'arn', member: 'ResourceArn' },
  DeleteResourcePolicy: { on: 'arn', member: 'ResourceArn' },
  ListTags: { on: 'taggable', member: 'ResourceId' },
  TagResource: { on: 'taggable', member: 'ResourceId', tags: PAIRS },
  UntagResource: { on: 'taggable', member: 'ResourceId', tags: { member: 'TagKeyList', of: 'keys' } },
} as const satisfies Record<OperationName, Access>

/** What another account's policy can share a backup for; nothing else crosses accounts. */
export const SHAREABLE = ['DescribeBackups', 'CreateCluster'] as const satisfies readonly OperationName[]

export interface Target {
  readonly account: string
  /** `*`, or an ARN; an id that is none stands as `*` in it. */
  readonly arn: string
  readonly kind: 'cluster' | 'backup' | undefined
  /** Undefined when the request does not name one that could exist. */
  readonly id: string | undefined
}

export interface Place {
  readonly region: string
  /** The caller's. */
  readonly account: string
}

export const arnOf = (kind: 'cluster' | 'backup', id: string, { region, account }: Place) =>
  `arn:aws:cloudhsm:${region}:${account}:${kind}/${id}`

/** The resource that a request is about, before anything but its JSON has been looked at. */
export function targetOf(operation: OperationName, request: object, place: Place): Target {
  const access: AccessSpec = ACCESS[operation]
  if (access.on === '*') return { account: place.account, arn: '*', kind: undefined, id: undefined }
  const named = textAt(request, access.member)
  switch (access.on) {
    case 'cluster':
    case 'backup':
      return byId(access.on, named, place)
    case 'taggable':
      return byId(named?.startsWith('backup-') ? 'backup' : 'cluster', named, place)
    case 'arn':
      return byArn(named, place)
    case 'new-cluster':
      if (named === undefined) return byId('cluster', undefined, place)
      return named.startsWith('arn:') ? byArn(named, place) : byId('backup', named, place)
  }
}

function byId(kind: 'cluster' | 'backup', named: string | undefined, place: Place): Target {
  const id = named !== undefined && ID_PATTERNS[kind].test(named) ? named : undefined
  return { account: place.account, arn: arnOf(kind, id ?? '*', place), kind, id }
}

function byArn(named: string | undefined, { account }: Place): Target {
  if (named === undefined || !ID_PATTERNS.resourceArn.test(named)) {
    return { account, arn: '*', kind: undefined, id: undefined }
  }
  const [, , , , owner = account, resource = ''] = named.split(':')
  const [kind, id] = resource.split('/')
  return { account: owner, arn: named, kind: kind === 'cluster' || kind === 'backup' ? kind : undefined, id }
}

function textAt(request: object, member: string): string | undefined {
  const value: unknown = Object.getOwnPropertyDescriptor(request, member)?.value
  return typeof value === 'string' ? value : undefined
}
