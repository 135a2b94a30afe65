import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eq } from 'drizzle-orm'
import { backups } from '../../migrations/schema.ts'
import type { BackupId } from '../../provider-schema/ids.ts'
import { takeBackup } from './take-backup.ts'
import { activeCluster, bench, insertCluster, simulated, type Bench } from './testing/fixtures.ts'
import { insertBackup } from './testing/ready-backup.ts'
import { perform, type JobContext } from './transition.ts'

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())

/** A store that keeps half of what it is given, as a disk may that lies. */
function halfStoring(): JobContext {
  const { backups: whole } = b.ctx.ports
  const put: typeof whole.put = async (id, content) => {
    const stored = await whole.put(id, content)
    const bytes = b.world.store.get(id)
    assert.ok(bytes)
    b.world.store.set(id, bytes.subarray(0, stored.size / 2))
    return (await whole.verify(id)) ?? stored
  }
  return { ...b.ctx, ports: { ...b.ctx.ports, backups: { ...whole, put } } }
}

async function millisLeft(id: BackupId, ms: number): Promise<void> {
  await b.database.sql
    .update(backups)
    .set({ deadline: new Date(Date.now() + ms) })
    .where(eq(backups.id, id))
}

const stateOf = async (id: BackupId) => (await b.database.read.backups.find(id))?.state

test('a backup that is stored other than it was sealed is DELETED by its deadline, and no byte of it is left', async () => {
  const { cluster, hsm } = await activeCluster(b, ['alice', 'key'])
  const { id } = await insertBackup(b, cluster)
  await millisLeft(id, 1_000)
  const ctx = halfStoring()
  const removed: string[] = []
  const remove: typeof ctx.ports.backups.remove = async (gone) => {
    removed.push(`${gone} of ${b.world.store.get(gone)?.length ?? 0} bytes`)
    await ctx.ports.backups.remove(gone)
  }
  const watched = { ...ctx, ports: { ...ctx.ports, backups: { ...ctx.ports.backups, remove } } }
  assert.equal(await perform(takeBackup, { backupId: id }, watched), 'finished')
  assert.equal(await stateOf(id), 'DELETED')
  const sealed = '["alice","key"]'.length
  assert.deepEqual(removed, [`${id} of ${Math.floor(sealed / 2)} bytes`])
  assert.equal(b.world.store.has(id), false)
  assert.deepEqual([...simulated(b, hsm.id).content], ['alice', 'key'])
})

test('a backup whose deadline passed while no worker lived is DELETED with what was stored of it', async () => {
  const { cluster } = await activeCluster(b, ['key'])
  const { id } = await insertBackup(b, cluster)
  b.world.store.set(id, Buffer.from('["k'))
  await millisLeft(id, -1)
  await perform(takeBackup, { backupId: id }, b.ctx)
  assert.equal(await stateOf(id), 'DELETED')
  assert.equal(b.world.store.has(id), false)
})

test('a backup whose bytes cannot be removed yet is not DELETED before they are', async () => {
  const { cluster } = await activeCluster(b, ['key'])
  const { id } = await insertBackup(b, cluster)
  b.world.store.set(id, Buffer.from('["k'))
  await millisLeft(id, -1)
  const remove = () => Promise.reject(new Error('the disk is gone'))
  const ctx = { ...b.ctx, ports: { ...b.ctx.ports, backups: { ...b.ctx.ports.backups, remove } } }
  await assert.rejects(perform(takeBackup, { backupId: id }, ctx), /the disk is gone/)
  assert.equal(await stateOf(id), 'CREATE_IN_PROGRESS')
  await perform(takeBackup, { backupId: id }, b.ctx)
  assert.equal(await stateOf(id), 'DELETED')
  assert.equal(b.world.store.has(id), false)
})

test('a backup of a cluster without an HSM fails at once', async () => {
  const cluster = await insertCluster(b, { state: 'ACTIVE' })
  const { id } = await insertBackup(b, cluster)
  await perform(takeBackup, { backupId: id }, b.ctx)
  assert.equal(await stateOf(id), 'DELETED')
})
