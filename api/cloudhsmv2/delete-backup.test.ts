import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deleteBackup } from '../../provider-schema/operations/delete-backup.ts'
import { restoreBackup } from '../../provider-schema/operations/restore-backup.ts'
import { modifyBackupAttributes } from '../../provider-schema/operations/modify-backup-attributes.ts'
import { BACKUP_STATES } from '../../provider-schema/states.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { backupRow, clusterIn, hsmIn, refused, trail } from '../testing/fixtures.ts'

let api: TestApi
let now = new Date('2030-01-01T00:00:00.123Z')
before(async () => {
  api = await testApi({
    limits: { clustersPerAccount: 100, hsmsPerAccount: 100, hsmsPerCluster: 28 },
    clock: () => now,
  })
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const MISSING = 'CloudHsmResourceNotFoundException'
const GONE = 'cluster-aaaaaaaaaaa' as never
const USER = 'arn:aws:iam::000000000000:user/test'
const DAY_MS = 24 * 3_600_000

const described = async (BackupId: string) =>
  (await api.ask('DescribeBackups', { Filters: { backupIds: [BackupId] } }))['Backups']

test('a deleted backup is PENDING_DELETION, tells when it is gone, and stays listed', async () => {
  const BackupId = await backupRow(api, GONE, { neverExpires: true })
  const { Backup } = deleteBackup.output.parse(await api.ask('DeleteBackup', { BackupId }))
  assert.equal(Backup.BackupState, 'PENDING_DELETION')
  assert.equal(Backup.DeleteTimestamp, (now.getTime() + 7 * DAY_MS) / 1000)
  assert.equal(Backup.NeverExpires, true)
  assert.deepEqual(await described(BackupId), [Backup])
  assert.ok((await trail(api)).includes(`DeleteBackup ${BackupId} ${USER}`))
})

test('a backup is restored as it was', async () => {
  const BackupId = await backupRow(api, GONE, { tags: { a: 'b' } })
  const before = await described(BackupId)
  await api.ask('DeleteBackup', { BackupId })
  const { Backup } = restoreBackup.output.parse(await api.ask('RestoreBackup', { BackupId }))
  assert.deepEqual([Backup], before)
  assert.equal(Backup.DeleteTimestamp, undefined)
  assert.ok((await trail(api)).includes(`RestoreBackup ${BackupId} ${USER}`))
})

test('a backup whose seven days are over is not restored, though it may still be there', async () => {
  const BackupId = await backupRow(api, GONE)
  await api.ask('DeleteBackup', { BackupId })
  const began = now
  now = new Date(began.getTime() + 7 * DAY_MS)
  await refused(api, 'RestoreBackup', { BackupId }, INVALID, /was to be kept until 2030-01-08T00:00:00\.123Z only/)
  now = new Date(began.getTime() + 7 * DAY_MS - 1)
  await api.ask('RestoreBackup', { BackupId })
  now = began
})

test('a backup is exempted from retention and back, also while it is pending deletion', async () => {
  const BackupId = await backupRow(api, GONE)
  for (const NeverExpires of [true, true, false]) {
    const { Backup } = modifyBackupAttributes.output.parse(
      await api.ask('ModifyBackupAttributes', { BackupId, NeverExpires }),
    )
    assert.equal(Backup.NeverExpires, NeverExpires)
    assert.deepEqual(await described(BackupId), [Backup])
  }
  await api.ask('DeleteBackup', { BackupId })
  await api.ask('ModifyBackupAttributes', { BackupId, NeverExpires: true })
  const { Backup } = restoreBackup.output.parse(await api.ask('RestoreBackup', { BackupId }))
  assert.equal(Backup.NeverExpires, true)
  assert.ok((await trail(api)).includes(`ModifyBackupAttributes ${BackupId} ${USER}`))
})

const ALLOWED = {
  DeleteBackup: ['READY'],
  RestoreBackup: ['PENDING_DELETION'],
  ModifyBackupAttributes: ['READY', 'PENDING_DELETION'],
} as const

for (const [operation, allowed] of Object.entries(ALLOWED)) {
  const input = (BackupId: string) => ({ BackupId, ...(operation.startsWith('Modify') && { NeverExpires: true }) })

  test(`${operation} leaves a backup alone that is not ${allowed.join(' or ')}`, async () => {
    for (const state of BACKUP_STATES) {
      if (allowed.some((each) => each === state)) continue
      const BackupId = await backupRow(api, GONE, { state })
      if (state === 'DELETED') await refused(api, operation, input(BackupId), MISSING, /not found/)
      else await refused(api, operation, input(BackupId), INVALID, new RegExp(`is ${state}`))
    }
  })

  test(`${operation} finds neither what is not there nor what is another account's`, async () => {
    const BackupId = await backupRow(api, GONE, { account: '111111111111' as never })
    await refused(api, operation, input(BackupId), MISSING, /not found/)
    await refused(api, operation, input('backup-aaaaaaaaaaa'), MISSING, /not found/)
    await refused(api, operation, input('junk'), INVALID, /failed to satisfy constraint/)
    await refused(api, operation, {}, INVALID, /must not be null|constraint/i)
  })
}

test('a backup is kept that is all a cluster has', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const [old, newest] = [
    await backupRow(api, ClusterId, { createdAt: new Date(now.getTime() - DAY_MS) }),
    await backupRow(api, ClusterId, { createdAt: now }),
  ]
  const all = new RegExp(`holds all that the cluster ${ClusterId} has`)
  await refused(api, 'DeleteBackup', { BackupId: newest }, INVALID, all)
  await api.ask('DeleteBackup', { BackupId: old })
  // One that is on its way out has given its content to the backup; one at work holds it.
  const leaving = await hsmIn(api, ClusterId, 'DELETE_IN_PROGRESS')
  await api.database.read.hsms.update(leaving, { member: true })
  await refused(api, 'DeleteBackup', { BackupId: newest }, INVALID, all)
  const working = await hsmIn(api, ClusterId, 'ACTIVE')
  await api.database.read.hsms.update(working, { member: true })
  await api.ask('DeleteBackup', { BackupId: newest })
})

test('a backup is kept while a cluster that was made of it has nothing else', async () => {
  const BackupId = await backupRow(api, GONE)
  const ClusterId = await clusterIn(api, 'ACTIVE', { SourceBackupId: BackupId })
  await refused(api, 'DeleteBackup', { BackupId }, INVALID, new RegExp(`all that the cluster ${ClusterId} has`))
  await backupRow(api, ClusterId)
  await api.ask('DeleteBackup', { BackupId })
})

test('deleting the last two backups of a cluster at once leaves one', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const ids = [await backupRow(api, ClusterId), await backupRow(api, ClusterId)]
  const answers = await Promise.all(ids.map((BackupId) => api.call('DeleteBackup', { BackupId })))
  assert.ok(answers.some((answer) => answer.status === 400))
  const { rows } = await api.database.pool.query("select from backups where cluster_id = $1 and state = 'READY'", [
    ClusterId,
  ])
  assert.ok(rows.length >= 1)
})
