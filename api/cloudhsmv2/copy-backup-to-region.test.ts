import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ClusterId } from '../../provider-schema/ids.ts'
import { OTHER_ACCOUNT, testApi, type TestApi } from '../testing/api.ts'
import { backupRow, jobKeys, refused, trail } from '../testing/fixtures.ts'

let api: TestApi
before(async () => {
  api = await testApi()
})
after(() => api.close())

const CLUSTER = 'cluster-aaaaaaaaaaa' as ClusterId
const INVALID = 'CloudHsmInvalidRequestException'

test('answers what will be copied, without an id of the copy', async () => {
  const createdAt = new Date('2026-01-02T03:04:05.678Z')
  const BackupId = await backupRow(api, CLUSTER, { createdAt, tags: { a: '1' } })
  assert.deepEqual(await api.ask('CopyBackupToRegion', { BackupId, DestinationRegion: 'eu-west-1' }), {
    DestinationBackup: {
      CreateTimestamp: createdAt.getTime() / 1000,
      SourceRegion: 'us-east-1',
      SourceBackup: BackupId,
      SourceCluster: CLUSTER,
    },
  })
  const { rows } = await api.database.pool.query<{ id: string; tags: object; destination_region: string }>(
    'select * from copies where backup_id = $1',
    [BackupId],
  )
  assert.equal(rows.length, 1)
  assert.deepEqual(rows[0]?.tags, { a: '1' }, "the source's tags are copied when none are given")
  assert.equal(rows[0].destination_region, 'eu-west-1')
  assert.ok((await jobKeys(api)).includes(`copy-backup:${rows[0].id}`))
  assert.ok((await trail(api)).includes(`CopyBackupToRegion ${BackupId} arn:aws:iam::000000000000:user/test`))
})

test("tags that are given replace the source's", async () => {
  const BackupId = await backupRow(api, CLUSTER, { tags: { a: '1' } })
  await api.ask('CopyBackupToRegion', { BackupId, DestinationRegion: 'eu-west-1', TagList: [{ Key: 'b', Value: '2' }] })
  const { rows } = await api.database.pool.query<{ tags: object }>('select tags from copies where backup_id = $1', [
    BackupId,
  ])
  assert.deepEqual(rows, [{ tags: { b: '2' } }])
})

test('refuses what cannot be copied, and where it cannot go', async () => {
  const BackupId = await backupRow(api, CLUSTER)
  const copy = (input: object, code: string, message: RegExp) =>
    refused(api, 'CopyBackupToRegion', { BackupId, DestinationRegion: 'eu-west-1', ...input }, code, message)
  await copy({ DestinationRegion: 'us-east-1' }, INVALID, /must be another/)
  await copy({ DestinationRegion: 'ap-south-1' }, INVALID, /cannot be copied to ap-south-1. Known regions: eu-west-1/)
  await copy({ DestinationRegion: 'nowhere' }, INVALID, /'destinationRegion' failed/)
  const missing = 'CloudHsmResourceNotFoundException'
  await copy({ BackupId: 'backup-aaaaaaaaaaa' }, missing, /not found/)
  await copy({ BackupId: await backupRow(api, CLUSTER, { account: OTHER_ACCOUNT }) }, missing, /not found/)
  await copy({ BackupId: await backupRow(api, CLUSTER, { state: 'DELETED' }) }, missing, /not found/)
  for (const state of ['CREATE_IN_PROGRESS', 'PENDING_DELETION'] as const) {
    await copy({ BackupId: await backupRow(api, CLUSTER, { state }) }, INVALID, new RegExp(`is ${state}; only a READY`))
  }
  await copy({ TagList: [{ Key: 'aws:x', Value: '' }] }, 'CloudHsmTagException', /reserved/)
})

for (const [from, to, isRefused] of [
  ['us-east-1', 'us-gov-west-1', true],
  ['us-gov-west-1', 'us-east-1', true],
  ['us-gov-west-1', 'us-gov-east-1', false],
] as const) {
  test(`a copy from ${from} to ${to} is ${isRefused ? 'refused' : 'made'}`, async () => {
    const there = await testApi({ region: from, knownRegions: [from, to] })
    try {
      const BackupId = await backupRow(there, CLUSTER)
      const request = { BackupId, DestinationRegion: to }
      if (isRefused) await refused(there, 'CopyBackupToRegion', request, INVALID, /GovCloud/)
      else assert.ok(await there.ask('CopyBackupToRegion', request))
      assert.equal((await jobKeys(there)).length, isRefused ? 0 : 1)
    } finally {
      await there.close()
    }
  })
}
