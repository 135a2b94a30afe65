import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { newBackupId } from '../../provider-schema/ids.ts'
import type { Backup } from '../../state/backups.ts'
import type { Cluster } from '../../state/clusters.ts'
import { keepHouse } from './housekeeping.ts'
import { activeCluster, bench, insertCluster, insertHsm, type Bench } from './testing/fixtures.ts'

const DAY_MS = 24 * 3_600_000

let b: Bench
let now: Date
before(async () => (b = await bench()))
beforeEach(async () => {
  await b.database.pool.query('truncate clusters, hsms, backups, copies')
  b.world.store.clear()
  now = new Date('2030-01-01T00:00:00Z')
})
after(() => b.close())

const house = () => keepHouse({ ...b.ctx, clock: () => now })
const advance = (days: number) => (now = new Date(now.getTime() + days * DAY_MS))
const daysAgo = (days: number) => new Date(now.getTime() - days * DAY_MS)

/** A READY backup with bytes in the store. */
async function backup(cluster: Cluster, days: number, set: Partial<Backup> = {}): Promise<Backup['id']> {
  const id = newBackupId()
  await b.database.read.backups.insert({
    id,
    account: cluster.account,
    clusterId: cluster.id,
    hsmType: cluster.hsmType,
    mode: cluster.mode,
    state: 'READY',
    createdAt: daysAgo(days),
    size: 3,
    digest: '00',
    ...set,
  })
  b.world.store.set(id, Buffer.from('abc'))
  return id
}

async function stateOf(id: Backup['id']) {
  return (await b.database.read.backups.find(id))?.state
}

/** A cluster that is due for no daily backup: it is not ACTIVE. */
const idle = (set: Partial<Cluster> = {}) =>
  insertCluster(b, { state: 'INITIALIZED', retentionDays: 7, createdAt: daysAgo(400), ...set })

test('a backup that is older than its cluster keeps them is gone seven days later, bytes and all', async () => {
  const cluster = await idle()
  const [old, newest] = [await backup(cluster, 8), await backup(cluster, 1)]
  await house()
  assert.deepEqual([await stateOf(old), await stateOf(newest)], ['PENDING_DELETION', 'READY'])
  const pending = await b.database.read.backups.find(old)
  assert.equal(pending?.deleteAt?.getTime(), now.getTime() + 7 * DAY_MS)
  advance(6.9)
  await house()
  assert.equal(await stateOf(old), 'PENDING_DELETION')
  assert.ok(b.world.store.has(old))
  advance(0.2)
  await house()
  assert.equal(await stateOf(old), 'DELETED')
  assert.deepEqual([...b.world.store.keys()], [newest])
})

test('the newest backup of a cluster stays however old it is, also of a deleted cluster', async () => {
  for (const state of ['INITIALIZED', 'DELETED'] as const) {
    const cluster = await idle({ state })
    const all = [await backup(cluster, 300), await backup(cluster, 200), await backup(cluster, 100)]
    await house()
    assert.deepEqual(await Promise.all(all.map(stateOf)), ['PENDING_DELETION', 'PENDING_DELETION', 'READY'])
  }
})

test('exempt backups, copies from other regions and those still being made are let alone', async () => {
  const cluster = await idle()
  const kept = [
    await backup(cluster, 30, { neverExpires: true }),
    await backup(cluster, 30, { copyId: 'copy-aaaaaaaaaaa' as never }),
    await backup(cluster, 30, { state: 'CREATE_IN_PROGRESS' }),
  ]
  const gone = await backup(cluster, 30)
  await backup(cluster, 1)
  await house()
  assert.deepEqual(await Promise.all(kept.map(stateOf)), ['READY', 'READY', 'CREATE_IN_PROGRESS'])
  assert.equal(await stateOf(gone), 'PENDING_DELETION')
})

test('a copy does not count as the newest backup of its cluster', async () => {
  const cluster = await idle()
  const own = await backup(cluster, 30)
  await backup(cluster, 1, { copyId: 'copy-bbbbbbbbbbb' as never })
  await house()
  assert.equal(await stateOf(own), 'READY')
})

test('a backup that another cluster lives in is kept until that has an HSM of its own', async () => {
  const cluster = await idle()
  const source = await backup(cluster, 30)
  await backup(cluster, 1)
  const made = await insertCluster(b, { state: 'ACTIVE', sourceBackupId: source, createdAt: now })
  await house()
  assert.equal(await stateOf(source), 'READY')
  await insertHsm(b, made, { state: 'ACTIVE', member: true })
  await house()
  assert.equal(await stateOf(source), 'PENDING_DELETION')
})

test('a restored backup that is still too old is taken again, unless it is exempt by then', async () => {
  const cluster = await idle()
  const [old, spared] = [await backup(cluster, 20), await backup(cluster, 20)]
  await backup(cluster, 1)
  await house()
  await b.database.read.backups.update(spared, { neverExpires: true })
  for (const id of [old, spared]) {
    await b.database.read.backups.changeState(id, { from: 'PENDING_DELETION', to: 'READY', set: { deleteAt: null } })
  }
  await house()
  assert.deepEqual([await stateOf(old), await stateOf(spared)], ['PENDING_DELETION', 'READY'])
})

test('a changed policy holds for the backups that are there', async () => {
  const cluster = await idle({ retentionDays: 90 })
  const old = await backup(cluster, 20)
  await backup(cluster, 1)
  await house()
  assert.equal(await stateOf(old), 'READY')
  await b.database.read.clusters.update(cluster.id, { retentionDays: 19 })
  await house()
  assert.equal(await stateOf(old), 'PENDING_DELETION')
})

test('bytes that a killed worker left behind a DELETED row are removed', async () => {
  const cluster = await idle()
  const id = await backup(cluster, 30, { state: 'DELETED', deleteAt: daysAgo(1) })
  await house()
  assert.equal(b.world.store.has(id), false)
  assert.equal((await b.database.read.backups.find(id))?.size, null)
})

test('the store refusing once loses nothing: the bytes go the next time', async () => {
  const cluster = await idle()
  const id = await backup(cluster, 30, { state: 'PENDING_DELETION', deleteAt: daysAgo(1) })
  const ports = {
    ...b.ctx.ports,
    backups: { ...b.ctx.ports.backups, remove: () => Promise.reject(new Error('disk')) },
  }
  await assert.rejects(keepHouse({ ...b.ctx, ports, clock: () => now }), /disk/)
  assert.equal(await stateOf(id), 'DELETED')
  assert.ok(b.world.store.has(id))
  await house()
  assert.equal(b.world.store.has(id), false)
})

test('a backup that cannot be removed keeps neither the others from going nor a cluster from its daily backup', async () => {
  const { cluster } = await activeCluster(b, ['key'])
  await b.database.read.clusters.update(cluster.id, { createdAt: daysAgo(2) })
  const other = await idle()
  const stuck = await backup(other, 30, { state: 'PENDING_DELETION', deleteAt: daysAgo(2) })
  const goes = await backup(other, 30, { state: 'PENDING_DELETION', deleteAt: daysAgo(1) })
  const remove = (id: Backup['id']) =>
    id === stuck ? Promise.reject(new Error('not permitted')) : b.ctx.ports.backups.remove(id)
  const ports = { ...b.ctx.ports, backups: { ...b.ctx.ports.backups, remove } }
  await assert.rejects(keepHouse({ ...b.ctx, ports, clock: () => now }), /not permitted/)
  assert.deepEqual([b.world.store.has(stuck), b.world.store.has(goes)], [true, false])
  const query = { account: cluster.account, clusterIds: [cluster.id], ascending: true, limit: 9 }
  assert.deepEqual(
    (await b.database.read.backups.page(query)).map(({ state }) => state),
    ['CREATE_IN_PROGRESS'],
  )
})

test('an ACTIVE cluster with an HSM gets a backup when it has none of the last day; only one, however many look', async () => {
  const { cluster } = await activeCluster(b, ['key'])
  await b.database.read.clusters.update(cluster.id, { createdAt: daysAgo(2) })
  await Promise.all([house(), house(), house()])
  const taken = () =>
    b.database.read.backups.page({ account: cluster.account, clusterIds: [cluster.id], ascending: true, limit: 9 })
  const [first, ...more] = await taken()
  assert.deepEqual(more, [])
  assert.equal(first?.state, 'CREATE_IN_PROGRESS')
  assert.equal(first.createdAt.getTime(), now.getTime())
  await b.database.read.backups.changeState(first.id, { from: 'CREATE_IN_PROGRESS', to: 'READY' })
  advance(0.9)
  await house()
  assert.equal((await taken()).length, 1)
  advance(0.2)
  await house()
  assert.equal((await taken()).length, 2)
})

test('no daily backup of a cluster that is young, has no HSM, or is not ACTIVE', async () => {
  await activeCluster(b, ['key']).then(({ cluster }) =>
    b.database.read.clusters.update(cluster.id, { createdAt: daysAgo(0.9) }),
  )
  await insertCluster(b, { state: 'ACTIVE', createdAt: daysAgo(9) })
  const modified = await insertCluster(b, { state: 'MODIFY_IN_PROGRESS', createdAt: daysAgo(9) })
  await insertHsm(b, modified, { state: 'ACTIVE', member: true })
  await house()
  const { rows } = await b.database.pool.query('select id from backups')
  assert.deepEqual(rows, [])
})

test('a daily backup that failed is not followed by the next at once', async () => {
  const { cluster } = await activeCluster(b, ['key'])
  await b.database.read.clusters.update(cluster.id, { createdAt: daysAgo(2) })
  await house()
  const count = async () => (await b.database.pool.query('select from backups')).rowCount
  await b.database.pool.query("update backups set state = 'DELETED'")
  await house()
  assert.equal(await count(), 1)
  advance(1 / 48)
  await house()
  assert.equal(await count(), 2)
})
