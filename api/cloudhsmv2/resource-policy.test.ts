/** Backups that are shared with other accounts: the three operations, and what a consumer can do. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BackupId, ClusterId } from '../../provider-schema/ids.ts'
import { describeBackups as describeBackupsSpec } from '../../provider-schema/operations/describe-backups.ts'
import type { BackupState } from '../../provider-schema/states.ts'
import { ACCOUNT, OTHER_ACCOUNT, testApi, type TestApi } from '../testing/api.ts'
import { backupRow, refused, SUBNETS, trail } from '../testing/fixtures.ts'
import { document, userWith } from '../testing/identities.ts'

let api: TestApi
before(async () => {
  api = await testApi({ limits: { clustersPerAccount: 1_000, hsmsPerAccount: 6, hsmsPerCluster: 28 } })
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const MISSING = 'CloudHsmResourceNotFoundException'
const DENIED = 'AccessDeniedException'
const CLUSTER = 'cluster-aaaaaaaaaaa' as ClusterId
const OTHER = { accessKeyId: 'other', secret: 'other' }
const THIRD = '222222222222'
const arnOf = (id: string) => `arn:aws:cloudhsm:us-east-1:${ACCOUNT}:backup/${id}`
const BOTH = ['cloudhsm:DescribeBackups', 'cloudhsm:CreateCluster']

const sharing = (arn: string, more: object = {}) =>
  document([{ Effect: 'Allow', Principal: { AWS: OTHER_ACCOUNT }, Action: BOTH, Resource: arn, ...more }])

async function share(id: string, more: object = {}): Promise<string> {
  const Policy = sharing(arnOf(id), more)
  await api.ask('PutResourcePolicy', { ResourceArn: arnOf(id), Policy })
  return Policy
}
const put = (id: string, Policy: string, code: string, words: RegExp) =>
  refused(api, 'PutResourcePolicy', { ResourceArn: arnOf(id), Policy }, code, words)

const shared = async (input: object = {}, as = OTHER) =>
  describeBackupsSpec.output.parse(await api.ask('DescribeBackups', { Shared: true, ...input }, as))
const sharedIds = async (input: object = {}, as = OTHER) =>
  (await shared(input, as)).Backups.map((each) => each.BackupId)

describe('the policy of a backup', () => {
  test('is put, got as it was put, replaced and deleted', async () => {
    const backup = await backupRow(api, CLUSTER)
    const ResourceArn = arnOf(backup)
    assert.deepEqual(await api.ask('GetResourcePolicy', { ResourceArn }), { Policy: '{}' })
    const Policy = `${sharing(ResourceArn)}\n `
    assert.deepEqual(await api.ask('PutResourcePolicy', { ResourceArn, Policy }), { ResourceArn, Policy })
    assert.deepEqual(await api.ask('GetResourcePolicy', { ResourceArn }), { Policy })
    const next = await share(backup, { Principal: { AWS: THIRD } })
    assert.deepEqual(await api.ask('GetResourcePolicy', { ResourceArn }), { Policy: next })
    assert.deepEqual(await api.ask('DeleteResourcePolicy', { ResourceArn }), { ResourceArn, Policy: next })
    assert.deepEqual(await api.ask('DeleteResourcePolicy', { ResourceArn }), { ResourceArn, Policy: '{}' })
    assert.deepEqual(await api.ask('GetResourcePolicy', { ResourceArn }), { Policy: '{}' })
    const who = `arn:aws:iam::${ACCOUNT}:user/test`
    assert.deepEqual((await trail(api)).slice(-2), [
      `DeleteResourcePolicy ${backup} ${who}`,
      `DeleteResourcePolicy ${backup} ${who}`,
    ])
  })

  test('belongs to a READY backup; it stays readable, and can be deleted, in another state', async () => {
    for (const state of ['CREATE_IN_PROGRESS', 'PENDING_DELETION'] as const satisfies readonly BackupState[]) {
      const backup = await backupRow(api, CLUSTER, { state })
      await put(backup, sharing(arnOf(backup)), INVALID, new RegExp(`is ${state}; only a READY one can be shared`))
    }
    const leaving = await backupRow(api, CLUSTER)
    const Policy = await share(leaving)
    await api.database.pool.query("update backups set state = 'PENDING_DELETION' where id = $1", [leaving])
    const ResourceArn = arnOf(leaving)
    assert.deepEqual(await api.ask('GetResourcePolicy', { ResourceArn }), { Policy })
    assert.deepEqual(await api.ask('DeleteResourcePolicy', { ResourceArn }), { ResourceArn, Policy })
  })

  test('of what is not there, or not here, is not found', async () => {
    const gone = await backupRow(api, CLUSTER, { state: 'DELETED' })
    const elsewhere = arnOf(await backupRow(api, CLUSTER)).replace('us-east-1', 'eu-west-1')
    for (const ResourceArn of [arnOf('backup-zzzzzzzzzzz'), arnOf(gone), elsewhere]) {
      for (const [operation, more] of [
        ['GetResourcePolicy', {}],
        ['PutResourcePolicy', { Policy: sharing(ResourceArn) }],
        ['DeleteResourcePolicy', {}],
      ] as const) {
        await refused(api, operation, { ResourceArn, ...more }, MISSING, /was not found/)
      }
    }
  })

  test("of another account's backup is out of reach, whether there is one or not", async () => {
    const foreign = await backupRow(api, CLUSTER, { account: OTHER_ACCOUNT })
    for (const id of [foreign, 'backup-zzzzzzzzzzz']) {
      const ResourceArn = arnOf(id).replace(ACCOUNT, OTHER_ACCOUNT)
      for (const operation of ['GetResourcePolicy', 'PutResourcePolicy', 'DeleteResourcePolicy']) {
        await refused(api, operation, { ResourceArn, Policy: '{}' }, DENIED, /no resource-based policy allows/)
      }
    }
  })

  test('needs ARN and document; clusters and HSMs have none', async () => {
    await refused(api, 'GetResourcePolicy', {}, INVALID, /ResourceArn/)
    await refused(api, 'DeleteResourcePolicy', {}, INVALID, /ResourceArn/)
    await refused(api, 'PutResourcePolicy', {}, INVALID, /document must be given/)
    const backup = await backupRow(api, CLUSTER)
    await refused(api, 'PutResourcePolicy', { ResourceArn: arnOf(backup) }, INVALID, /document must be given/)
    await refused(api, 'GetResourcePolicy', { ResourceArn: backup }, INVALID, /regular expression/)
    const cluster = arnOf(backup).replace(`backup/${backup}`, CLUSTER.replace('cluster', 'cluster/cluster'))
    await refused(api, 'GetResourcePolicy', { ResourceArn: cluster }, INVALID, /Only backups/)
    const input = { ResourceArn: arnOf(backup), Policy: 'x'.repeat(20_001) }
    await refused(api, 'PutResourcePolicy', input, INVALID, /length less than or equal to 20000/)
  })

  test('is refused when it could not mean what its author thinks', async () => {
    const backup = await backupRow(api, CLUSTER)
    const arn = arnOf(backup)
    const rows: readonly (readonly [string, RegExp])[] = [
      ['nonsense', /not valid JSON/],
      ['{}', /at least one Statement/],
      [sharing(arn, { Effect: 'Maybe' }), /Effect of statement 1/],
      [sharing(arn, { Principal: undefined }), /no Principal/],
      [sharing(arn, { Principal: '*' }), /must not share the backup with everybody/],
      [sharing(arn, { Principal: { AWS: '*' } }), /must not share the backup with everybody/],
      [sharing(arn, { Principal: { AWS: 'ada' } }), /neither an account/],
      [sharing(arn, { Principal: { AWS: `arn:aws:iam::${OTHER_ACCOUNT}:user/ada` } }), /to a whole account only/],
      [
        sharing(arn, { Action: 'cloudhsm:DeleteBackup' }),
        /these actions only: cloudhsm:DescribeBackups, cloudhsm:Create/,
      ],
      [sharing(arn, { Action: [...BOTH, 's3:GetObject'] }), /these actions only/],
      [sharing(arn, { Action: undefined, NotAction: 's3:*' }), /these actions only/],
      [sharing(arn.replace(backup, 'backup-zzzzzzzzzzz')), /must be the backup/],
      [sharing(arn, { Resource: undefined, NotResource: arn }), /must be the backup/],
    ]
    for (const [Policy, words] of rows) await put(backup, Policy, INVALID, words)
  })

  test('may name its resource and actions by wildcards, and one user for CreateCluster', async () => {
    const backup = await backupRow(api, CLUSTER)
    await share(backup, { Resource: '*', Action: 'cloudhsm:*' })
    const Principal = { AWS: `arn:aws:iam::${OTHER_ACCOUNT}:user/other` }
    await share(backup, { Principal, Action: 'cloudhsm:CreateCluster' })
    assert.deepEqual(await sharedIds({ Filters: { backupIds: [backup] } }), [])
    const input = { HsmType: 'hsm2m.medium', SubnetIds: ['subnet-0d0d0d0d'], SourceBackupId: arnOf(backup) }
    await api.ask('CreateCluster', input, OTHER)
  })
})

describe('a consumer', () => {
  test('sees what is shared with it, by asking for it, without the tags of its owner', async () => {
    const mine = await backupRow(api, CLUSTER, { account: OTHER_ACCOUNT })
    const backup = await backupRow(api, CLUSTER, { tags: { secret: 'plan' } })
    assert.ok(!(await sharedIds()).includes(backup))
    await share(backup)
    const [seen] = (await shared({ Filters: { backupIds: [backup] } })).Backups
    assert.equal(seen?.BackupArn, arnOf(backup))
    assert.deepEqual(seen.TagList, [])
    const own = (await api.ask('DescribeBackups', {}, OTHER)) as { Backups: { BackupId: string }[] }
    const ids = own.Backups.map((each) => each.BackupId)
    assert.ok(ids.includes(mine) && !ids.includes(backup))
    assert.ok(!(await sharedIds()).includes(mine))
    // The owner does not share with itself.
    assert.ok(!(await sharedIds({}, { accessKeyId: 'test', secret: 'test' })).includes(backup))
    await api.ask('DeleteResourcePolicy', { ResourceArn: arnOf(backup) })
    assert.ok(!(await sharedIds()).includes(backup))
  })

  test('pages through shared backups without a gap, in either direction; a token is for shared ones only', async () => {
    const pages = await testApi()
    try {
      const ids: BackupId[] = []
      for (let minute = 0; minute < 5; minute++) {
        const id = await backupRow(pages, CLUSTER, { createdAt: new Date(Date.UTC(2026, 0, 1, 0, minute)) })
        // Every other one lets nobody in who comes from here, so that pages are made of what is left.
        const Condition = { IpAddress: { 'aws:SourceIp': minute % 2 === 0 ? '127.0.0.1' : '203.0.113.1' } }
        const Policy = sharing(arnOf(id), { Condition })
        await pages.ask('PutResourcePolicy', { ResourceArn: arnOf(id), Policy })
        if (minute % 2 === 0) ids.push(id)
      }
      const walk = async (SortAscending: boolean) => {
        const seen: string[] = []
        let NextToken: string | undefined
        do {
          const input = { Shared: true, MaxResults: 1, SortAscending, ...(NextToken !== undefined && { NextToken }) }
          const page = describeBackupsSpec.output.parse(await pages.ask('DescribeBackups', input, OTHER))
          seen.push(...page.Backups.map((each) => each.BackupId))
          NextToken = page.NextToken
        } while (NextToken !== undefined)
        return seen
      }
      assert.deepEqual(await walk(true), ids)
      assert.deepEqual(await walk(false), ids.toReversed())
      const { NextToken } = await pages.ask('DescribeBackups', { Shared: true, MaxResults: 1 }, OTHER)
      const misused = await pages.refusal('DescribeBackups', { MaxResults: 1, NextToken }, OTHER)
      assert.equal(misused.code, INVALID)
    } finally {
      await pages.close()
    }
  })

  test('makes a cluster from a shared backup by its ARN, and only by its ARN', async () => {
    const backup = await backupRow(api, CLUSTER, { clusterCertificate: 'CERT', trustAnchor: 'ANCHOR' })
    const input = { HsmType: 'hsm2m.medium', SubnetIds: ['subnet-0d0d0d0d'], SourceBackupId: arnOf(backup) }
    assert.equal((await api.refusal('CreateCluster', input, OTHER)).code, DENIED)
    await share(backup)
    const byId = await api.refusal('CreateCluster', { ...input, SourceBackupId: backup }, OTHER)
    assert.equal(byId.code, MISSING)
    const { Cluster } = (await api.ask('CreateCluster', input, OTHER)) as { Cluster: Record<string, unknown> }
    assert.equal(Cluster['SourceBackupId'], backup)
    assert.deepEqual(Cluster['Certificates'], { ClusterCertificate: 'CERT' })
    const { Clusters } = (await api.ask('DescribeClusters', {}, OTHER)) as { Clusters: { ClusterId: string }[] }
    assert.ok(Clusters.some((each) => each.ClusterId === Cluster['ClusterId']))
    await api.database.pool.query("update backups set state = 'PENDING_DELETION' where id = $1", [backup])
    const leaving = await api.refusal('CreateCluster', input, OTHER)
    assert.deepEqual([leaving.code, /must be READY/.test(String(leaving.message))], [INVALID, true])
  })

  test('needs a permission of its own account as well', async () => {
    const backup = await backupRow(api, CLUSTER)
    await share(backup)
    const input = { HsmType: 'hsm2m.medium', SubnetIds: ['subnet-0d0d0d0d'], SourceBackupId: arnOf(backup) }
    const nobody = await userWith(api, { account: OTHER_ACCOUNT })
    const { code, message } = await api.refusal('CreateCluster', input, nobody)
    assert.equal(code, DENIED)
    assert.match(String(message), /no identity-based policy allows the cloudhsm:CreateCluster action$/)
    const statements = [{ Effect: 'Allow', Action: 'cloudhsm:CreateCluster', Resource: arnOf('*') }]
    await api.ask('CreateCluster', input, await userWith(api, { account: OTHER_ACCOUNT, statements }))
  })

  test('can do nothing else with it', async () => {
    const backup = await backupRow(api, CLUSTER)
    await share(backup, { Action: 'cloudhsm:*' })
    const rows: readonly (readonly [string, object, string])[] = [
      ['CopyBackupToRegion', { BackupId: backup, DestinationRegion: 'eu-west-1' }, MISSING],
      ['ListTags', { ResourceId: backup }, MISSING],
      ['DeleteBackup', { BackupId: backup }, MISSING],
      ['RestoreBackup', { BackupId: backup }, MISSING],
      ['ModifyBackupAttributes', { BackupId: backup, NeverExpires: true }, MISSING],
      ['TagResource', { ResourceId: backup, TagList: [{ Key: 'a', Value: 'b' }] }, MISSING],
      ['UntagResource', { ResourceId: backup, TagKeyList: ['a'] }, MISSING],
      ['GetResourcePolicy', { ResourceArn: arnOf(backup) }, DENIED],
      ['PutResourcePolicy', { ResourceArn: arnOf(backup), Policy: sharing(arnOf(backup)) }, DENIED],
      ['DeleteResourcePolicy', { ResourceArn: arnOf(backup) }, DENIED],
    ]
    const before = await api.rows()
    for (const [operation, input, code] of rows) {
      assert.equal((await api.refusal(operation, input, OTHER)).code, code, operation)
    }
    assert.equal(await api.rows(), before)
  })

  test('that is not named, or is denied, sees and makes nothing', async () => {
    const backup = await backupRow(api, CLUSTER)
    const input = { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS, SourceBackupId: arnOf(backup) }
    await share(backup, { Principal: { AWS: THIRD } })
    assert.ok(!(await sharedIds()).includes(backup))
    assert.equal((await api.refusal('CreateCluster', input, OTHER)).code, DENIED)
    const allow = { Effect: 'Allow', Principal: { AWS: OTHER_ACCOUNT }, Action: BOTH, Resource: arnOf(backup) }
    const Policy = document([allow, { ...allow, Effect: 'Deny', Principal: '*' }])
    await api.ask('PutResourcePolicy', { ResourceArn: arnOf(backup), Policy })
    assert.ok(!(await sharedIds()).includes(backup))
    const { message } = await api.refusal('CreateCluster', input, OTHER)
    assert.match(String(message), /with an explicit deny in a resource-based policy$/)
    // The owner's own keys are bound by it too.
    assert.equal((await api.refusal('CreateCluster', input)).code, DENIED)
  })
})
