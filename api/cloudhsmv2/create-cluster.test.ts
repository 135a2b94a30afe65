import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCluster } from '../../provider-schema/operations/create-cluster.ts'
import { LIMITS } from '../../provider-schema/limits.ts'
import { OTHER_ACCOUNT, testApi, type TestApi } from '../testing/api.ts'
import { backupRow, clusterIn, jobKeys, refused, SUBNETS, trail } from '../testing/fixtures.ts'
import type { SubnetId, VpcId } from '../../provider-schema/ids.ts'

let api: TestApi
const CONFIGURED = new Map(
  Object.entries({
    'subnet-cccccccc1': { zone: 'us-east-1a', vpcId: 'vpc-cccc1' as VpcId },
    'subnet-cccccccc2': { zone: 'us-east-1a', vpcId: 'vpc-cccc1' as VpcId },
    'subnet-cccccccc3': { zone: 'us-east-1b', vpcId: 'vpc-cccc2' as VpcId },
  }),
) as Map<SubnetId, { zone: string; vpcId: VpcId }>

before(async () => {
  api = await testApi({
    configuredSubnets: CONFIGURED,
    limits: { clustersPerAccount: 100, hsmsPerAccount: 6, hsmsPerCluster: 28 },
  })
})
after(() => api.close())

/** Resolves when a session waits for a lock of another one. */
async function untilOneWaits({ database }: TestApi): Promise<void> {
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
  while ((await database.pool.query(waiting)).rowCount === 0) await sleep(10)
}

const INPUT = { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS }
const INVALID = 'CloudHsmInvalidRequestException'

test('answers CREATE_IN_PROGRESS with the defaults of AWS, a job and an audit row', async () => {
  const { Cluster } = createCluster.output.parse(await api.ask('CreateCluster', INPUT))
  assert.match(Cluster.ClusterId, /^cluster-[a-z2-7]{11}$/)
  assert.match(Cluster.VpcId, /^vpc-[0-9a-f]{17}$/)
  assert.ok(Math.abs(Cluster.CreateTimestamp - Date.now() / 1000) < 60)
  const { ClusterId, VpcId, CreateTimestamp, ...rest } = Cluster
  assert.deepEqual(rest, {
    BackupPolicy: 'DEFAULT',
    BackupRetentionPolicy: { Type: 'DAYS', Value: '90' },
    Hsms: [],
    HsmType: 'hsm2m.medium',
    State: 'CREATE_IN_PROGRESS',
    SubnetMapping: { 'us-east-1a': SUBNETS[0], 'us-east-1b': SUBNETS[1] },
    NetworkType: 'IPV4',
    Certificates: {},
    Mode: 'FIPS',
  })
  assert.ok(VpcId && CreateTimestamp)
  assert.ok((await jobKeys(api)).includes(`create-cluster:${ClusterId}`))
  assert.ok((await trail(api)).includes(`CreateCluster ${ClusterId} arn:aws:iam::000000000000:user/test`))
})

test('an unknown subnet gets a zone and keeps it; the account has one VPC', async () => {
  const first = createCluster.output.parse(await api.ask('CreateCluster', INPUT)).Cluster
  const swapped = { ...INPUT, SubnetIds: [SUBNETS[1], 'subnet-0a0a0a0a0a0a0a0a3'] }
  const second = createCluster.output.parse(await api.ask('CreateCluster', swapped)).Cluster
  assert.equal(second.SubnetMapping['us-east-1b'], SUBNETS[1])
  assert.equal(second.SubnetMapping['us-east-1a'], 'subnet-0a0a0a0a0a0a0a0a3')
  assert.equal(second.VpcId, first.VpcId)
})

test('a configured subnet lies where the configuration says', async () => {
  const input = { ...INPUT, SubnetIds: ['subnet-cccccccc3'] }
  const { Cluster } = createCluster.output.parse(await api.ask('CreateCluster', input))
  assert.deepEqual(Cluster.SubnetMapping, { 'us-east-1b': 'subnet-cccccccc3' })
  assert.equal(Cluster.VpcId, 'vpc-cccc2')
})

const REFUSALS: readonly (readonly [string, object, RegExp])[] = [
  ['a type that is not offered', { HsmType: 'hsm1.medium' }, /^Provided HsmType is not supported\.$/],
  ['retention below 7 days', { BackupRetentionPolicy: { Type: 'DAYS', Value: '6' } }, /between 7 and 379/],
  ['retention above 379 days', { BackupRetentionPolicy: { Type: 'DAYS', Value: '380' } }, /between 7 and 379/],
  ['a subnet given twice', { SubnetIds: [SUBNETS[0], SUBNETS[0]] }, /more than once/],
  ['two subnets of one zone', { SubnetIds: ['subnet-cccccccc1', 'subnet-cccccccc2'] }, /both in us-east-1a/],
  ['subnets of two VPCs', { SubnetIds: ['subnet-cccccccc1', 'subnet-cccccccc3'] }, /same VPC/],
  [
    'more unknown subnets than zones',
    { SubnetIds: ['1', '2', '3', '4'].map((n) => `subnet-dddddddd${n}`) },
    /there are 3 zones/,
  ],
  ['a mode that does not exist', { Mode: 'DEFAULT' }, /'mode' failed to satisfy.*\[FIPS, NON_FIPS\]/],
  ['no subnets', { SubnetIds: [] }, /'subnetIds' failed to satisfy constraint: Member must have length greater/],
  ['an id that is no subnet', { SubnetIds: ['subnet-0'] }, /at 'subnetIds'.*subnet-\[0-9a-fA-F\]\{8,17\}/],
  ['no type', { HsmType: undefined }, /Value null at 'hsmType'.*must not be null/],
  [
    'several breaches at once',
    { HsmType: 'x', SubnetIds: ['y'], Mode: 'z' },
    /^3 validation errors detected: .*'hsmType'.*; .*'subnetIds'.*; .*'mode'/,
  ],
]
for (const [what, differing, message] of REFUSALS) {
  test(`refuses ${what}, and changes nothing`, () =>
    refused(api, 'CreateCluster', { ...INPUT, ...differing }, INVALID, message))
}

test('refuses tag keys that are reserved or come twice', async () => {
  const reserved = { ...INPUT, TagList: [{ Key: 'AWS:x', Value: '1' }] }
  await refused(api, 'CreateCluster', reserved, 'CloudHsmTagException', /reserved/)
  const tag = { Key: 'a', Value: '1' }
  await refused(api, 'CreateCluster', { ...INPUT, TagList: [tag, tag] }, 'CloudHsmTagException', /only once/)
})

test("another account's subnet is not known to this one", async () => {
  const input = { ...INPUT, SubnetIds: ['subnet-eeeeeeee1'] }
  await api.ask('CreateCluster', input, { accessKeyId: 'other', secret: 'other' })
  await refused(api, 'CreateCluster', input, INVALID, /'subnet-eeeeeeee1' does not exist/)
})

test('a region with configured subnets only refuses one that nobody knows', async () => {
  const strict = await testApi({ unknownSubnets: 'refuse', configuredSubnets: CONFIGURED })
  try {
    await refused(strict, 'CreateCluster', INPUT, INVALID, /does not exist/)
    await strict.ask('CreateCluster', { ...INPUT, SubnetIds: ['subnet-cccccccc1'] })
  } finally {
    await strict.close()
  }
})

test('a cluster from a backup takes over its mode and certificate, and shows them at once', async () => {
  const source = await clusterIn(api, 'ACTIVE')
  const certificate = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n'
  const backup = await backupRow(api, source, { mode: 'NON_FIPS', clusterCertificate: certificate })
  for (const id of [backup, `arn:aws:cloudhsm:us-east-1:000000000000:backup/${backup}`]) {
    const { Cluster } = createCluster.output.parse(await api.ask('CreateCluster', { ...INPUT, SourceBackupId: id }))
    assert.equal(Cluster.SourceBackupId, backup)
    assert.equal(Cluster.Mode, 'NON_FIPS')
    assert.deepEqual(Cluster.Certificates, { ClusterCertificate: certificate })
  }
})

test('refuses a backup that cannot be restored here', async () => {
  const source = await clusterIn(api, 'ACTIVE')
  const ready = await backupRow(api, source)
  const unready = await backupRow(api, source, { state: 'CREATE_IN_PROGRESS' })
  const gone = await backupRow(api, source, { state: 'DELETED' })
  const foreign = await backupRow(api, source, { account: OTHER_ACCOUNT })
  const from = (id: string, more = {}) => ({ ...INPUT, SourceBackupId: id, ...more })
  const missing = 'CloudHsmResourceNotFoundException'
  await refused(api, 'CreateCluster', from('backup-aaaaaaaaaaa'), missing, /backup-aaaaaaaaaaa was not found/)
  await refused(api, 'CreateCluster', from(gone), missing, /not found/)
  await refused(api, 'CreateCluster', from(foreign), missing, /not found/)
  const foreignArn = `arn:aws:cloudhsm:us-east-1:${OTHER_ACCOUNT}:backup/${foreign}`
  await refused(api, 'CreateCluster', from(foreignArn), 'AccessDeniedException', /no resource-based policy allows/)
  await refused(api, 'CreateCluster', from(unready), INVALID, /must be READY/)
  await refused(api, 'CreateCluster', from(ready, { Mode: 'NON_FIPS' }), INVALID, /FIPS mode, not NON_FIPS/)
  const elsewhere = `arn:aws:cloudhsm:eu-west-1:000000000000:backup/${ready}`
  await refused(api, 'CreateCluster', from(elsewhere), INVALID, /copy it to us-east-1 first/)
})

test('hsm1.medium, where it is offered, is refused NON_FIPS', async () => {
  const old = await testApi({ offeredHsmTypes: ['hsm1.medium', 'hsm2m.medium'] })
  try {
    await old.ask('CreateCluster', { ...INPUT, HsmType: 'hsm1.medium' })
    const input = { ...INPUT, HsmType: 'hsm1.medium', Mode: 'NON_FIPS' }
    await refused(old, 'CreateCluster', input, INVALID, /hsm2m.medium only/)
    const backup = await backupRow(old, await clusterIn(old, 'ACTIVE'))
    const back = { ...INPUT, HsmType: 'hsm1.medium', SourceBackupId: backup }
    await refused(old, 'CreateCluster', back, INVALID, /cannot be restored to an hsm1/)
  } finally {
    await old.close()
  }
})

test('the quota holds, also when all requests come at once; deleted clusters do not count', async () => {
  const few = await testApi({
    limits: { clustersPerAccount: LIMITS.clustersPerAccount, hsmsPerAccount: 6, hsmsPerCluster: 28 },
  })
  try {
    await clusterIn(few, 'DELETED')
    const replies = await Promise.all(Array.from({ length: 7 }, () => few.call('CreateCluster', INPUT)))
    assert.equal(replies.filter((reply) => reply.status === 200).length, 4)
    await refused(few, 'CreateCluster', INPUT, INVALID, /most clusters.*: 4\./)
    await few.ask(
      'CreateCluster',
      { ...INPUT, SubnetIds: ['subnet-ffffffff1'] },
      { accessKeyId: 'other', secret: 'other' },
    )
  } finally {
    await few.close()
  }
})

test('two first clusters of an account, made at the same time, lie in one VPC', async () => {
  const both = ['subnet-abcdef01', 'subnet-abcdef02'].map((id) => ({ HsmType: 'hsm2m.medium', SubnetIds: [id] }))
  const young = await testApi()
  try {
    const made = await Promise.all(both.map((input) => young.ask('CreateCluster', input)))
    const [one, two] = made.map((answer) => createCluster.output.parse(answer).Cluster.VpcId)
    assert.equal(one, two)
  } finally {
    await young.close()
  }
})

test('a backup that is deleted while a cluster is made from it is not taken for it', async () => {
  const source = await clusterIn(api, 'ACTIVE')
  const backup = await backupRow(api, source)
  let reply: ReturnType<TestApi['refusal']> | undefined
  await api.database.transaction(async (tx) => {
    await tx.backups.beginRemoval(backup, new Date())
    reply = api.refusal('CreateCluster', { ...INPUT, SourceBackupId: backup })
    await untilOneWaits(api)
  })
  assert.match(String((await reply)?.message), /is PENDING_DELETION; it must be READY/)
})
