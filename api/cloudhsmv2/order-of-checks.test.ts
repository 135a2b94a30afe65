/**
 * Which refusal answers when a request breaks two checks at once (control-plane reference §1.4): signature, target, JSON,
 * JSON types; then shape, lookup, state, content, quota. Each case breaks two neighbours; the earlier one answers.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { BackupId, ClusterId } from '../../provider-schema/ids.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { backupRow, clusterIn, hsmIn, refused, setClusterState, SUBNETS } from '../testing/fixtures.ts'

/** Everybody has used up every quota: whatever is not refused before is refused for that. */
let api: TestApi
let creating: ClusterId
let waiting: ClusterId
let active: ClusterId
let ready: BackupId
let pending: BackupId
before(async () => {
  api = await testApi({ limits: { clustersPerAccount: 3, hsmsPerAccount: 2, hsmsPerCluster: 28 } })
  creating = await clusterIn(api, 'CREATE_IN_PROGRESS')
  waiting = await clusterIn(api, 'UNINITIALIZED')
  active = await clusterIn(api, 'ACTIVE')
  await hsmIn(api, waiting, 'ACTIVE')
  await api.database.read.clusters.update(waiting, { clusterCsr: 'not a request' })
  await hsmIn(api, active, 'ACTIVE')
  const tags = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, 'v']))
  await api.database.read.clusters.update(active, { tags })
  ready = await backupRow(api, active)
  pending = await backupRow(api, active, { state: 'PENDING_DELETION', deleteAt: new Date(Date.now() - 1) })
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const MISSING = 'CloudHsmResourceNotFoundException'
const TAG = 'CloudHsmTagException'
const NO_CLUSTER = 'cluster-aaaaaaaaaaa'
const NO_BACKUP = 'backup-aaaaaaaaaaa'
const SHAPE = /failed to satisfy constraint/
const DAYS = (Value: string) => ({ BackupRetentionPolicy: { Type: 'DAYS', Value } })
const RESERVED = [{ Key: 'aws:x', Value: 'v' }]
const CLUSTER = { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS }
const JUNK = { SignedCert: 'junk', TrustAnchor: 'junk' }

type Case = readonly [operation: string, order: string, input: () => object, code: string, message: RegExp]

const CASES: readonly Case[] = [
  [
    'CreateCluster',
    'JSON types before shape',
    () => ({ HsmType: 7, SubnetIds: [] }),
    'SerializationException',
    /HsmType|hsmType/,
  ],
  ['CreateCluster', 'shape before range', () => ({ HsmType: 'x', SubnetIds: SUBNETS, ...DAYS('6') }), INVALID, SHAPE],
  [
    'CreateCluster',
    'range before lookup',
    () => ({ ...CLUSTER, ...DAYS('6'), SourceBackupId: NO_BACKUP }),
    INVALID,
    /7 and 379/,
  ],
  [
    'CreateCluster',
    'tags before lookup',
    () => ({ ...CLUSTER, TagList: RESERVED, SourceBackupId: NO_BACKUP }),
    TAG,
    /reserved/,
  ],
  [
    'CreateCluster',
    'lookup before content',
    () => ({ ...CLUSTER, HsmType: 'hsm1.medium', SourceBackupId: NO_BACKUP }),
    MISSING,
    /not found/,
  ],
  [
    'CreateCluster',
    'state before content',
    () => ({ ...CLUSTER, HsmType: 'hsm1.medium', SourceBackupId: pending }),
    INVALID,
    /PENDING_DELETION/,
  ],
  [
    'CreateCluster',
    'type before mode',
    () => ({ ...CLUSTER, HsmType: 'hsm1.medium', Mode: 'NON_FIPS' }),
    INVALID,
    /HsmType is not supported/,
  ],
  [
    'CreateCluster',
    'mode before subnets',
    () => ({ ...CLUSTER, SourceBackupId: ready, Mode: 'NON_FIPS', SubnetIds: [SUBNETS[0], SUBNETS[0]] }),
    INVALID,
    /FIPS mode/,
  ],
  [
    'CreateCluster',
    'subnets before quota',
    () => ({ ...CLUSTER, SubnetIds: [SUBNETS[0], SUBNETS[0]] }),
    INVALID,
    /more than once/,
  ],
  ['CreateCluster', 'quota last', () => CLUSTER, INVALID, /most clusters/],

  [
    'InitializeCluster',
    'shape before lookup',
    () => ({ ClusterId: NO_CLUSTER, SignedCert: '#', TrustAnchor: 'a' }),
    INVALID,
    SHAPE,
  ],
  ['InitializeCluster', 'lookup before certificates', () => ({ ClusterId: NO_CLUSTER, ...JUNK }), MISSING, /not found/],
  [
    'InitializeCluster',
    'state before certificates',
    () => ({ ClusterId: active, ...JUNK }),
    INVALID,
    /must be UNINITIALIZED/,
  ],
  [
    'InitializeCluster',
    'certificates last',
    () => ({ ClusterId: waiting, ...JUNK }),
    INVALID,
    /SignedCert|certificate/,
  ],

  ['ModifyCluster', 'shape before what is asked', () => ({ ClusterId: 'junk' }), INVALID, SHAPE],
  ['ModifyCluster', 'what is asked before lookup', () => ({ ClusterId: NO_CLUSTER }), INVALID, /Exactly one/],
  ['ModifyCluster', 'range before lookup', () => ({ ClusterId: NO_CLUSTER, ...DAYS('6') }), INVALID, /7 and 379/],
  ['ModifyCluster', 'lookup before state', () => ({ ClusterId: NO_CLUSTER, ...DAYS('9') }), MISSING, /not found/],
  ['ModifyCluster', 'state last', () => ({ ClusterId: creating, ...DAYS('9') }), INVALID, /cannot be modified now/],

  ['DeleteCluster', 'shape before lookup', () => ({ ClusterId: 'junk' }), INVALID, SHAPE],
  ['DeleteCluster', 'lookup before state', () => ({ ClusterId: NO_CLUSTER }), MISSING, /not found/],
  ['DeleteCluster', 'state last', () => ({ ClusterId: creating }), INVALID, /cannot be deleted now/],

  ['CreateHsm', 'shape before lookup', () => ({ ClusterId: NO_CLUSTER, AvailabilityZone: 'junk' }), INVALID, SHAPE],
  [
    'CreateHsm',
    'lookup before content',
    () => ({ ClusterId: NO_CLUSTER, AvailabilityZone: 'us-east-1f' }),
    MISSING,
    /not found/,
  ],
  [
    'CreateHsm',
    'state before content',
    () => ({ ClusterId: creating, AvailabilityZone: 'us-east-1f' }),
    INVALID,
    /cannot be created now/,
  ],
  [
    'CreateHsm',
    'zone before address',
    () => ({ ClusterId: active, AvailabilityZone: 'us-east-1f', IpAddress: '999.0.0.1' }),
    INVALID,
    /no subnet in us-east-1f/,
  ],
  [
    'CreateHsm',
    'address before quota',
    () => ({ ClusterId: active, AvailabilityZone: 'us-east-1a', IpAddress: '999.0.0.1' }),
    INVALID,
    /not an IPv4 address/,
  ],
  ['CreateHsm', 'quota last', () => ({ ClusterId: active, AvailabilityZone: 'us-east-1a' }), INVALID, /most HSMs/],

  ['DeleteHsm', 'shape before names', () => ({ ClusterId: 'junk' }), INVALID, SHAPE],
  ['DeleteHsm', 'names before lookup', () => ({ ClusterId: NO_CLUSTER }), INVALID, /Exactly one of HsmId/],
  [
    'DeleteHsm',
    'cluster before HSM',
    () => ({ ClusterId: NO_CLUSTER, HsmId: 'hsm-aaaaaaaaaaa' }),
    MISSING,
    /Cluster .* not found/,
  ],
  [
    'DeleteHsm',
    'HSM before state',
    () => ({ ClusterId: creating, HsmId: 'hsm-aaaaaaaaaaa' }),
    MISSING,
    /HSM .* not found/,
  ],

  [
    'DescribeClusters',
    'JSON types before shape',
    () => ({ MaxResults: '0', NextToken: 'x'.repeat(300) }),
    'SerializationException',
    /axResults/,
  ],
  ['DescribeClusters', 'shape before filters', () => ({ MaxResults: 0, Filters: { unknown: ['x'] } }), INVALID, SHAPE],
  [
    'DescribeClusters',
    'filters before token',
    () => ({ Filters: { unknown: ['x'] }, NextToken: 'x' }),
    INVALID,
    /Unknown filter/,
  ],
  ['DescribeClusters', 'token last', () => ({ NextToken: 'x' }), INVALID, /NextToken is not valid/],
  ['DescribeBackups', 'shape before filters', () => ({ MaxResults: 51, Filters: { unknown: ['x'] } }), INVALID, SHAPE],
  [
    'DescribeBackups',
    'filters before token',
    () => ({ Filters: { states: ['x'] }, NextToken: 'x' }),
    INVALID,
    /filters\.states/,
  ],

  [
    'CopyBackupToRegion',
    'shape before tags',
    () => ({ DestinationRegion: 'mars', BackupId: NO_BACKUP, TagList: RESERVED }),
    INVALID,
    SHAPE,
  ],
  [
    'CopyBackupToRegion',
    'tags before lookup',
    () => ({ DestinationRegion: 'ap-south-1', BackupId: NO_BACKUP, TagList: RESERVED }),
    TAG,
    /reserved/,
  ],
  [
    'CopyBackupToRegion',
    'lookup before destination',
    () => ({ DestinationRegion: 'ap-south-1', BackupId: NO_BACKUP }),
    MISSING,
    /not found/,
  ],
  [
    'CopyBackupToRegion',
    'state before destination',
    () => ({ DestinationRegion: 'ap-south-1', BackupId: pending }),
    INVALID,
    /PENDING_DELETION/,
  ],
  [
    'CopyBackupToRegion',
    'destination last',
    () => ({ DestinationRegion: 'ap-south-1', BackupId: ready }),
    INVALID,
    /cannot be copied/,
  ],

  ['DeleteBackup', 'shape before lookup', () => ({ BackupId: 'junk' }), INVALID, SHAPE],
  ['DeleteBackup', 'lookup before state', () => ({ BackupId: NO_BACKUP }), MISSING, /not found/],
  ['DeleteBackup', 'state before content', () => ({ BackupId: pending }), INVALID, /is PENDING_DELETION/],
  ['DeleteBackup', 'content last', () => ({ BackupId: ready }), INVALID, /all that the cluster/],
  ['RestoreBackup', 'lookup before state', () => ({ BackupId: NO_BACKUP }), MISSING, /not found/],
  ['RestoreBackup', 'state before time', () => ({ BackupId: ready }), INVALID, /is READY/],
  ['RestoreBackup', 'time last', () => ({ BackupId: pending }), INVALID, /was to be kept until/],
  [
    'ModifyBackupAttributes',
    'JSON types before shape',
    () => ({ BackupId: 'junk', NeverExpires: 'yes' }),
    'SerializationException',
    /everExpires/,
  ],
  ['ModifyBackupAttributes', 'shape before lookup', () => ({ BackupId: NO_BACKUP }), INVALID, /must not be null/],

  ['TagResource', 'shape before tags', () => ({ ResourceId: 'junk', TagList: RESERVED }), INVALID, SHAPE],
  ['TagResource', 'tags before lookup', () => ({ ResourceId: NO_CLUSTER, TagList: RESERVED }), TAG, /reserved/],
  [
    'TagResource',
    'lookup before limit',
    () => ({ ResourceId: NO_CLUSTER, TagList: [{ Key: 'new', Value: 'v' }] }),
    MISSING,
    /not found/,
  ],
  [
    'TagResource',
    'limit last',
    () => ({ ResourceId: active, TagList: [{ Key: 'new', Value: 'v' }] }),
    'CloudHsmResourceLimitExceededException',
    /at most 50/,
  ],
  ['UntagResource', 'shape before tags', () => ({ ResourceId: 'junk', TagKeyList: ['aws:x'] }), INVALID, SHAPE],
  ['UntagResource', 'tags before lookup', () => ({ ResourceId: NO_CLUSTER, TagKeyList: ['aws:x'] }), TAG, /reserved/],
  ['ListTags', 'shape before token', () => ({ ResourceId: 'junk', NextToken: 'x' }), INVALID, SHAPE],
  [
    'ListTags',
    'token before lookup',
    () => ({ ResourceId: NO_CLUSTER, NextToken: 'x' }),
    INVALID,
    /NextToken is not valid/,
  ],
]

for (const [operation, order, input, code, message] of CASES) {
  test(`${operation}: ${order}`, () => refused(api, operation, input(), code, message))
}

const FRONT: readonly (readonly [string, string, NonNullable<Parameters<TestApi['call']>[2]>, string])[] = [
  ['the key before the signature', 'Junk', { accessKeyId: 'nobody', secret: 'x' }, 'UnrecognizedClientException'],
  ['the signature before the target', 'Junk', { secret: 'wrong' }, 'InvalidSignatureException'],
  ['the clock before the target', 'Junk', { at: new Date(0) }, 'InvalidSignatureException'],
  ['the target before the JSON', 'Junk', { body: '{' }, 'UnknownOperationException'],
  ['the JSON before the shape', 'DeleteCluster', { body: '[]' }, 'SerializationException'],
]
for (const [order, operation, as, code] of FRONT) {
  test(`every operation: ${order}`, async () => {
    assert.equal((await api.refusal(operation, {}, as)).code, code)
  })
}

test('DeleteCluster and DeleteHsm: what stands in the way is named before the state', async () => {
  await setClusterState(api, waiting, 'INITIALIZE_IN_PROGRESS')
  await refused(api, 'DeleteCluster', { ClusterId: waiting }, INVALID, /still has HSMs/)
  const [hsm] = await api.database.read.hsms.ofCluster(waiting)
  await refused(api, 'DeleteHsm', { ClusterId: waiting, HsmId: hsm?.id }, INVALID, /cannot be deleted now/)
})
