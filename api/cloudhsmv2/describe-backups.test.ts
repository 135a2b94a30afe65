import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { BackupId, ClusterId } from '../../provider-schema/ids.ts'
import { describeBackups } from '../../provider-schema/operations/describe-backups.ts'
import { OTHER_ACCOUNT, testApi, type TestApi } from '../testing/api.ts'
import { backupRow, refused } from '../testing/fixtures.ts'

let api: TestApi
const A = 'cluster-aaaaaaaaaaa' as ClusterId
const B = 'cluster-bbbbbbbbbbb' as ClusterId
const SOURCE = 'backup-ccccccccccc' as BackupId
let oldest: BackupId, copy: BackupId, pinned: BackupId, newest: BackupId, failed: BackupId

before(async () => {
  api = await testApi()
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute, 0, 123))
  oldest = await backupRow(api, A, { createdAt: at(1), tags: { b: '2', a: '1' } })
  copy = await backupRow(api, B, {
    createdAt: at(2),
    copiedAt: at(9),
    sourceRegion: 'eu-west-1',
    sourceBackup: SOURCE,
    sourceCluster: B,
  })
  pinned = await backupRow(api, A, {
    createdAt: at(3),
    neverExpires: true,
    state: 'PENDING_DELETION',
    deleteAt: at(30),
  })
  newest = await backupRow(api, B, { createdAt: at(4), state: 'CREATE_IN_PROGRESS' })
  failed = await backupRow(api, B, { createdAt: at(5), state: 'DELETED', sourceBackup: SOURCE })
  await backupRow(api, A, { account: OTHER_ACCOUNT })
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const describe = async (input: object = {}) => describeBackups.output.parse(await api.ask('DescribeBackups', input))
const ids = async (input: object = {}) => (await describe(input)).Backups.map((backup) => backup.BackupId)

test('newest first, those that are to be deleted among them, those that are gone not', async () => {
  assert.deepEqual(await ids(), [newest, pinned, copy, oldest])
  assert.deepEqual(await ids({ SortAscending: true }), [oldest, copy, pinned, newest])
})

test('members that do not apply are left out', async () => {
  const { Backups } = await describe({ Filters: { backupIds: [oldest, copy, pinned] } })
  const common = { NeverExpires: false, HsmType: 'hsm2m.medium', Mode: 'FIPS', TagList: [] }
  const arn = (id: string) => `arn:aws:cloudhsm:us-east-1:000000000000:backup/${id}`
  assert.deepEqual(Backups, [
    {
      ...common,
      BackupId: pinned,
      BackupArn: arn(pinned),
      BackupState: 'PENDING_DELETION',
      ClusterId: A,
      CreateTimestamp: 1767268980.123,
      DeleteTimestamp: 1767270600.123,
      NeverExpires: true,
    },
    {
      ...common,
      BackupId: copy,
      BackupArn: arn(copy),
      BackupState: 'READY',
      ClusterId: B,
      CreateTimestamp: 1767268920.123,
      CopyTimestamp: 1767269340.123,
      SourceRegion: 'eu-west-1',
      SourceBackup: SOURCE,
      SourceCluster: B,
    },
    {
      ...common,
      BackupId: oldest,
      BackupArn: arn(oldest),
      BackupState: 'READY',
      ClusterId: A,
      CreateTimestamp: 1767268860.123,
      TagList: [
        { Key: 'a', Value: '1' },
        { Key: 'b', Value: '2' },
      ],
    },
  ])
})

test('filters narrow together; unknown ids give an empty list', async () => {
  assert.deepEqual(await ids({ Filters: { clusterIds: [A], states: ['READY'] } }), [oldest])
  assert.deepEqual(await ids({ Filters: { neverExpires: ['True'] } }), [pinned])
  assert.deepEqual(await ids({ Filters: { neverExpires: ['false'] } }), [newest, copy, oldest])
  assert.deepEqual(await ids({ Filters: { neverExpires: ['false', 'true'] } }), [newest, pinned, copy, oldest])
  assert.deepEqual(await ids({ Filters: { backupIds: ['backup-zzzzzzzzzzz'] } }), [])
})

test('whoever waits for a copy by its source sees that it failed', async () => {
  assert.deepEqual(await ids({ Filters: { sourceBackupIds: [SOURCE] } }), [failed, copy])
  assert.deepEqual(await ids({ Filters: { sourceBackupIds: [SOURCE], states: ['READY'] } }), [copy])
  assert.deepEqual(await ids({ Filters: { states: ['DELETED'] } }), [failed])
})

test('pages follow each other in either direction without a gap', async () => {
  for (const SortAscending of [true, false]) {
    const seen: BackupId[] = []
    let NextToken: string | undefined
    do {
      const page = await describe({ MaxResults: 1, SortAscending, NextToken })
      seen.push(...page.Backups.map((backup) => backup.BackupId))
      NextToken = page.NextToken
    } while (NextToken !== undefined)
    assert.deepEqual(seen, await ids({ SortAscending }))
  }
})

test('nothing is shared yet', async () => {
  assert.deepEqual(await describe({ Shared: true }), { Backups: [] })
})

test('refuses filters and tokens it does not know', async () => {
  const refuse = (input: object, message: RegExp) => refused(api, 'DescribeBackups', input, INVALID, message)
  await refuse({ Filters: { clusters: ['x'] } }, /Unknown filter 'clusters'/)
  await refuse({ Filters: { states: ['BROKEN'] } }, /enum value set/)
  await refuse({ Filters: { neverExpires: ['maybe'] } }, /'true' or 'false'/)
  await refuse({ MaxResults: 51 }, /less than or equal to 50/)
  const { NextToken } = await describe({ MaxResults: 1 })
  await refuse({ NextToken, SortAscending: true }, /NextToken/)
})
