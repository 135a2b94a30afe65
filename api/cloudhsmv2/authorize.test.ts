/** Who may do what: each operation asks IAM, for its own action on its own resource, before anything else is looked at. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ACCESS, targetOf } from '../../provider-schema/access.ts'
import { OPERATIONS, type OperationName } from '../../provider-schema/operations.ts'
import { HANDLERS } from './handlers.ts'
import { ACCOUNT, testApi, type TestApi } from '../testing/api.ts'
import { backupRow, clusterIn, SUBNETS } from '../testing/fixtures.ts'
import { changeDirectoryOf, rootKeyOf, userWith, type Credentials } from '../testing/identities.ts'
import { deleteAccessKey, setAccessKeyActive } from '../identity/directory.ts'

let api: TestApi
before(async () => {
  api = await testApi({
    limits: { clustersPerAccount: 1_000, hsmsPerAccount: 1_000, hsmsPerCluster: 28 },
  })
})
after(() => api.close())

const CLUSTER = 'cluster-aaaaaaaaaaa'
const BACKUP = 'backup-aaaaaaaaaaa'
const PLACE = { region: 'us-east-1', account: ACCOUNT }
const arn = (resource: string) => `arn:aws:cloudhsm:us-east-1:${ACCOUNT}:${resource}`
const DENIED = 'AccessDeniedException'

/** A request for each operation that names what it is about, and little else: only IAM looks at it here. */
const REQUESTS: Readonly<Record<OperationName, object>> = {
  CreateCluster: {},
  DescribeClusters: { MaxResults: 0 },
  InitializeCluster: { ClusterId: CLUSTER },
  ModifyCluster: { ClusterId: CLUSTER },
  DeleteCluster: { ClusterId: CLUSTER },
  CreateHsm: { ClusterId: CLUSTER },
  DeleteHsm: { ClusterId: CLUSTER },
  DescribeBackups: { MaxResults: 0 },
  CopyBackupToRegion: { BackupId: BACKUP },
  DeleteBackup: { BackupId: BACKUP },
  RestoreBackup: { BackupId: BACKUP },
  ModifyBackupAttributes: { BackupId: BACKUP },
  GetResourcePolicy: { ResourceArn: arn(`backup/${BACKUP}`) },
  PutResourcePolicy: { ResourceArn: arn(`backup/${BACKUP}`) },
  DeleteResourcePolicy: { ResourceArn: arn(`backup/${BACKUP}`) },
  ListTags: { ResourceId: BACKUP },
  TagResource: { ResourceId: CLUSTER },
  UntagResource: { ResourceId: CLUSTER },
}

const RESOURCES: Readonly<Record<OperationName, string>> = {
  CreateCluster: arn('cluster/*'),
  DescribeClusters: '*',
  InitializeCluster: arn(`cluster/${CLUSTER}`),
  ModifyCluster: arn(`cluster/${CLUSTER}`),
  DeleteCluster: arn(`cluster/${CLUSTER}`),
  CreateHsm: arn(`cluster/${CLUSTER}`),
  DeleteHsm: arn(`cluster/${CLUSTER}`),
  DescribeBackups: '*',
  CopyBackupToRegion: arn(`backup/${BACKUP}`),
  DeleteBackup: arn(`backup/${BACKUP}`),
  RestoreBackup: arn(`backup/${BACKUP}`),
  ModifyBackupAttributes: arn(`backup/${BACKUP}`),
  GetResourcePolicy: arn(`backup/${BACKUP}`),
  PutResourcePolicy: arn(`backup/${BACKUP}`),
  DeleteResourcePolicy: arn(`backup/${BACKUP}`),
  ListTags: arn(`backup/${BACKUP}`),
  TagResource: arn(`cluster/${CLUSTER}`),
  UntagResource: arn(`cluster/${CLUSTER}`),
}

const refusal = async (operation: OperationName, input: object, as: Credentials) => {
  const before = await api.rows()
  const refused = await api.refusal(operation, input, as)
  assert.equal(await api.rows(), before, 'a refusal changed something')
  return refused
}
const names = Object.keys(OPERATIONS) as OperationName[]

test('every operation says what it asks of IAM, of members that its request has', () => {
  for (const name of names) {
    const access = ACCESS[name]
    const members = Object.keys(OPERATIONS[name].input.shape)
    if ('member' in access) assert.ok(members.includes(access.member), name)
    if ('tags' in access) assert.ok(members.includes(access.tags.member), name)
    assert.equal(targetOf(name, REQUESTS[name], PLACE).arn, RESOURCES[name], name)
  }
})

test('what is not an id or an ARN is about any resource of its kind, so that nothing is let in by a slip', () => {
  const target = (name: OperationName, request: object) => targetOf(name, request, PLACE).arn
  assert.equal(target('DeleteCluster', {}), arn('cluster/*'))
  assert.equal(target('DeleteCluster', { ClusterId: '*' }), arn('cluster/*'))
  assert.equal(target('DeleteCluster', { ClusterId: `${CLUSTER}/../x` }), arn('cluster/*'))
  assert.equal(target('DeleteCluster', { ClusterId: [CLUSTER] }), arn('cluster/*'))
  assert.equal(target('GetResourcePolicy', {}), '*')
  assert.equal(target('GetResourcePolicy', { ResourceArn: 'arn:aws:s3:::x' }), '*')
  assert.equal(target('CreateCluster', { SourceBackupId: BACKUP }), arn(`backup/${BACKUP}`))
  const foreign = `arn:aws:cloudhsm:us-east-1:999999999999:backup/${BACKUP}`
  assert.equal(target('CreateCluster', { SourceBackupId: foreign }), foreign)
})

describe('each operation', () => {
  for (const name of [...HANDLERS.keys()]) {
    const words = `not authorized to perform: cloudhsm:${name} on resource: ${RESOURCES[name]} `
    const elsewhere = RESOURCES[name] === '*' ? arn('cluster/*') : RESOURCES[name].replace('us-east-1', 'eu-west-1')

    test(`${name} is refused without a policy, before its constraints are looked at`, async () => {
      const { code, message } = await refusal(name, REQUESTS[name], await userWith(api))
      assert.equal(code, DENIED)
      assert.ok(String(message).endsWith(`${words}because no identity-based policy allows the cloudhsm:${name} action`))
    })

    test(`${name} is refused when all but it is allowed, and when it is allowed elsewhere`, async () => {
      const statements = [
        { Effect: 'Allow', NotAction: `cloudhsm:${name}`, Resource: '*' },
        { Effect: 'Allow', Action: '*', Resource: elsewhere },
      ]
      const { code } = await refusal(name, REQUESTS[name], await userWith(api, { statements }))
      assert.equal(code, DENIED)
    })

    test(`${name} is refused by an explicit deny, which is named`, async () => {
      const statements = [
        { Effect: 'Allow', Action: '*', Resource: '*' },
        { Effect: 'Deny', Action: `cloudhsm:${name}`, Resource: RESOURCES[name] },
      ]
      const { code, message } = await refusal(name, REQUESTS[name], await userWith(api, { statements }))
      assert.equal(code, DENIED)
      assert.ok(String(message).endsWith(`${words}with an explicit deny in an identity-based policy`))
    })

    test(`${name} is let through by a policy for exactly it`, async () => {
      const statements = [{ Effect: 'Allow', Action: `cloudhsm:${name}`, Resource: RESOURCES[name] }]
      const { code, message } = await refusal(name, REQUESTS[name], await userWith(api, { statements }))
      assert.match(String(code), /^CloudHsm(InvalidRequest|ResourceNotFound)Exception$/, String(message))
    })
  }
})

describe('the order of checks', () => {
  test('a wrong JSON type is told before IAM is asked, and IAM before a wrong value', async () => {
    const nobody = await userWith(api)
    assert.equal((await refusal('DescribeClusters', { MaxResults: 'x' }, nobody)).code, 'SerializationException')
    assert.equal((await refusal('DescribeClusters', { MaxResults: 0 }, nobody)).code, DENIED)
  })

  test('a wrong signature is told before IAM is asked', async () => {
    const { accessKeyId } = await userWith(api)
    const { code } = await refusal('DescribeClusters', {}, { accessKeyId, secret: 'guess' })
    assert.equal(code, 'InvalidSignatureException')
  })
})

describe('tags', () => {
  const TAGS = [{ Key: 'team', Value: 'hsm' }]
  const input = (more: object = {}) => ({ HsmType: 'hsm2m.medium', SubnetIds: SUBNETS, ...more })
  const may = (Action: string, Condition: object = {}) => ({ Effect: 'Allow', Action, Resource: '*', Condition })

  test('something is created with tags only by whom cloudhsm:TagResource is allowed', async () => {
    const user = await userWith(api, { statements: [may('cloudhsm:CreateCluster')] })
    await api.ask('CreateCluster', input(), user)
    const { code, message } = await refusal('CreateCluster', input({ TagList: TAGS }), user)
    assert.equal(code, DENIED)
    assert.match(
      String(message),
      /cloudhsm:TagResource on resource: arn:aws:cloudhsm:us-east-1:\d{12}:cluster\/\* because/,
    )
    const both = await userWith(api, { statements: [may('cloudhsm:CreateCluster'), may('cloudhsm:TagResource')] })
    await api.ask('CreateCluster', input({ TagList: TAGS }), both)
  })

  test('what is refused for the tags it is to be created with is a CloudHsmTagException', async () => {
    const only = { StringEquals: { 'aws:RequestTag/team': 'hsm' } }
    const user = await userWith(api, {
      statements: [may('cloudhsm:CreateCluster', only), may('cloudhsm:TagResource')],
    })
    await api.ask('CreateCluster', input({ TagList: TAGS }), user)
    for (const wrong of [{}, { TagList: [{ Key: 'team', Value: 'web' }] }]) {
      const { code, message } = await refusal('CreateCluster', input(wrong), user)
      assert.equal(code, 'CloudHsmTagException')
      assert.match(String(message), /not authorized to perform: cloudhsm:CreateCluster/)
    }
    const keys = { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['team'] } }
    const tagger = await userWith(api, {
      statements: [may('cloudhsm:CreateCluster'), may('cloudhsm:TagResource', keys)],
    })
    await api.ask('CreateCluster', input({ TagList: TAGS }), tagger)
    const other = await refusal('CreateCluster', input({ TagList: [{ Key: 'cost', Value: '1' }] }), tagger)
    assert.equal(other.code, 'CloudHsmTagException')
    const denied = await userWith(api, {
      statements: [
        may('*'),
        { ...may('cloudhsm:CreateCluster', { Null: { 'aws:RequestTag/team': 'true' } }), Effect: 'Deny' },
      ],
    })
    assert.equal((await refusal('CreateCluster', input(), denied)).code, 'CloudHsmTagException')
  })

  test('copies of backups are tagged by the same rule', async () => {
    const backup = await backupRow(api, await clusterIn(api, 'ACTIVE'))
    const user = await userWith(api, { statements: [may('cloudhsm:CopyBackupToRegion')] })
    const copy = { BackupId: backup, DestinationRegion: 'eu-west-1' }
    const { code, message } = await refusal('CopyBackupToRegion', { ...copy, TagList: TAGS }, user)
    assert.equal(code, DENIED)
    assert.match(String(message), /cloudhsm:TagResource on resource: .*:backup\/\*/)
    await api.ask('CopyBackupToRegion', copy, user)
  })

  test('tags of the resource decide, for clusters and backups', async () => {
    const mine = await clusterIn(api, 'ACTIVE', { TagList: TAGS })
    const theirs = await clusterIn(api, 'ACTIVE', { TagList: [{ Key: 'team', Value: 'web' }] })
    const backup = await backupRow(api, mine, { tags: { team: 'hsm' } })
    const other = await backupRow(api, mine, { tags: {} })
    const own = { StringEquals: { 'aws:ResourceTag/team': '${aws:PrincipalTag/team}' } }
    const user = await userWith(api, { tags: { team: 'hsm' }, statements: [may('*', own)] })
    await api.ask('ListTags', { ResourceId: mine }, user)
    await api.ask('ListTags', { ResourceId: backup }, user)
    for (const ResourceId of [theirs, other, 'cluster-zzzzzzzzzzz']) {
      assert.equal((await refusal('ListTags', { ResourceId }, user)).code, DENIED, ResourceId)
    }
  })

  test('keys that differ in case only let nobody past a policy', async () => {
    const only = { StringEquals: { 'aws:RequestTag/team': 'hsm' } }
    const user = await userWith(api, { statements: [may('*', only)] })
    for (const Keys of [
      ['team', 'TEAM'],
      ['TEAM', 'team'],
    ]) {
      const TagList = Keys.map((Key) => ({ Key, Value: Key === 'team' ? 'web' : 'hsm' }))
      assert.equal((await refusal('CreateCluster', input({ TagList }), user)).code, 'CloudHsmTagException')
    }
    // Of a resource that has both a policy means the one it writes.
    const tags = { TEAM: 'hsm', team: 'web' }
    const backup = await backupRow(api, await clusterIn(api, 'ACTIVE'), { tags })
    const reader = await userWith(api, { statements: [may('*', { StringEquals: { 'aws:ResourceTag/team': 'hsm' } })] })
    assert.equal((await refusal('ListTags', { ResourceId: backup }, reader)).code, DENIED)
    const other = await userWith(api, { statements: [may('*', { StringEquals: { 'aws:ResourceTag/TEAM': 'hsm' } })] })
    await api.ask('ListTags', { ResourceId: backup }, other)
  })

  test('keys that are taken away are looked at as well', async () => {
    const cluster = await clusterIn(api, 'ACTIVE', { TagList: [...TAGS, { Key: 'cost', Value: '1' }] })
    const keys = { 'ForAnyValue:StringEquals': { 'aws:TagKeys': ['cost'] } }
    const user = await userWith(api, {
      statements: [may('*'), { ...may('cloudhsm:UntagResource', keys), Effect: 'Deny' }],
    })
    const { code } = await refusal('UntagResource', { ResourceId: cluster, TagKeyList: ['team', 'cost'] }, user)
    assert.equal(code, DENIED)
    await api.ask('UntagResource', { ResourceId: cluster, TagKeyList: ['team'] }, user)
  })

  test('more tags than can be are cut before they are weighed, and refused by their constraint', async () => {
    const TagList = Array.from({ length: 5_000 }, (_, at) => ({ Key: `k${at}`, Value: 'x'.repeat(50) }))
    const user = await userWith(api, { statements: [may('*', { StringNotEquals: { 'aws:RequestTag/a': 'b' } })] })
    const { code } = await refusal('CreateCluster', input({ TagList }), user)
    assert.equal(code, 'CloudHsmInvalidRequestException')
  })
})

describe('conditions on where a request comes from and goes to', () => {
  const may = (Condition: object) => ({ Effect: 'Allow', Action: '*', Resource: '*', Condition })

  test('source address', async () => {
    const here = await userWith(api, { statements: [may({ IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } })] })
    const office = await userWith(api, { statements: [may({ IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } })] })
    await api.ask('DescribeClusters', {}, here)
    assert.equal((await refusal('DescribeClusters', {}, office)).code, DENIED)
    // The front door of the same machine says whom it speaks for.
    const headers = { 'x-forwarded-for': '203.0.113.9' }
    await api.ask('DescribeClusters', {}, { ...office, headers, unsigned: ['x-forwarded-for'] })
  })

  test('region', async () => {
    const eu = await userWith(api, { statements: [may({ StringEquals: { 'aws:RequestedRegion': 'eu-west-1' } })] })
    assert.equal((await refusal('DescribeClusters', {}, eu)).code, DENIED)
    const us = await userWith(api, { statements: [may({ StringEquals: { 'aws:RequestedRegion': 'us-east-1' } })] })
    await api.ask('DescribeClusters', {}, us)
  })

  test('time', async () => {
    const past = await userWith(api, {
      statements: [may({ DateLessThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } })],
    })
    assert.equal((await refusal('DescribeClusters', {}, past)).code, DENIED)
  })
})

describe('access keys', () => {
  const statements = [{ Effect: 'Allow', Action: '*', Resource: '*' }]
  const INVALID = 'UnrecognizedClientException'

  test('a key of an account itself may do everything in it, and sees nothing of another', async () => {
    const root = await rootKeyOf(api, '333333333333')
    await api.ask('CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: ['subnet-0c0c0c0c'] }, root)
    const { Clusters } = (await api.ask('DescribeClusters', {}, root)) as { Clusters: unknown[] }
    assert.equal(Clusters.length, 1)
  })

  test('one that is disabled opens nothing until it is enabled', async () => {
    const user = await userWith(api, { statements })
    await api.ask('DescribeClusters', {}, user)
    await changeDirectoryOf(api, (directory) => setAccessKeyActive(directory, user.accessKeyId, false))
    assert.equal((await api.refusal('DescribeClusters', {}, user)).code, INVALID)
    await changeDirectoryOf(api, (directory) => setAccessKeyActive(directory, user.accessKeyId, true))
    await api.ask('DescribeClusters', {}, user)
  })

  test('one that is deleted is unknown', async () => {
    const user = await userWith(api, { statements })
    await changeDirectoryOf(api, (directory) => deleteAccessKey(directory, user.accessKeyId))
    assert.equal((await api.refusal('DescribeClusters', {}, user)).code, INVALID)
  })

  test('a secret stands nowhere in the database', async () => {
    const user = await userWith(api, { statements })
    const { rows } = await api.database.pool.query<{ dump: string }>(
      "select string_agg(t::text, '') as dump from identity t",
    )
    const dump = rows[0]?.dump ?? ''
    assert.ok(dump.includes(user.accessKeyId))
    for (const form of ['utf8', 'base64', 'base64url', 'hex'] as const) {
      assert.ok(!dump.includes(Buffer.from(user.secret).toString(form)), form)
    }
  })

  test('nothing is allowed by policies of which one cannot be read, and the log says so', async () => {
    const user = await userWith(api, { name: 'unreadable', statements })
    await api.database.pool.query(
      `update identity set stamp = 'other', directory = replace(directory::text, '"policies": {"test"', '"policies": {"broken": "{}", "test"')::jsonb`,
    )
    assert.equal((await api.refusal('DescribeClusters', {}, user)).code, DENIED)
    assert.ok(api.log.some((line) => line.includes('user/unreadable policy broken')))
  })
})

test('a refusal is logged with operation and account', async () => {
  await refusal('DescribeClusters', {}, await userWith(api))
  const line = JSON.parse(api.log.at(-1) ?? '{}') as Record<string, unknown>
  assert.deepEqual([line['operation'], line['account'], line['outcome']], ['DescribeClusters', ACCOUNT, DENIED])
})
