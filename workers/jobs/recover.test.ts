/** What becomes of HSMs that do not answer, in the simulated world; with real ones: test/hsm-type.e2e.test.ts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { HsmId } from '../../provider-schema/ids.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import { deleteHsm } from './delete-hsm.ts'
import { launchHsm } from './launch-hsm.ts'
import { recover } from './recover.ts'
import { activeCluster, bench, insertCluster, insertHsm, simulated, type Bench } from './testing/fixtures.ts'
import { TRIALS, untilFinished } from './testing/trials.ts'

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())

const recovery = { lostSeconds: 60, silentSeconds: 600, validationSeconds: 30 }

async function rowOf(id: HsmId): Promise<Hsm> {
  const row = await b.database.read.hsms.find(id)
  assert.ok(row)
  return row
}

/** The watcher has not heard of an HSM for so many seconds. */
async function silentFor(id: HsmId, seconds: number): Promise<void> {
  const hsm = await rowOf(id)
  const cluster = await b.database.read.clusters.find(hsm.clusterId)
  assert.ok(cluster)
  await recover({ ...b.ctx, recovery }, hsm, cluster, seconds * 1_000)
}

/** The HSM that has the ENI of another now. */
async function inPlaceOf({ clusterId, eniId }: Hsm): Promise<Hsm> {
  const found = (await b.database.read.hsms.ofCluster(clusterId)).filter((hsm) => hsm.eniId === eniId)
  assert.equal(found.length, 1, 'a place is held by one')
  const [hsm] = found
  assert.ok(hsm)
  return hsm
}

async function pair(words: readonly string[]): Promise<{ cluster: Cluster; first: Hsm; second: Hsm }> {
  const { cluster, hsm: first } = await activeCluster(b, words)
  const { id } = await insertHsm(b, cluster)
  await untilFinished(launchHsm, { hsmId: id }, b.ctx)
  return { cluster, first, second: await rowOf(id) }
}

const zeroise = (id: HsmId) => {
  const hsm = simulated(b, id)
  Object.assign(hsm, { phase: 'zeroised', running: false })
  hsm.content.clear()
}

for (const trial of TRIALS) {
  test(`a lost HSM is replaced in its place, with its content from the others: ${trial.name}`, async () => {
    const { first, second } = await pair(['alice', 'key'])
    zeroise(first.id)
    await silentFor(first.id, 0)
    const replacement = await inPlaceOf(first)
    assert.notEqual(replacement.id, first.id)
    const { eniIp, listenIp, subnetId, availabilityZone, createdAt } = replacement
    assert.deepEqual(
      [eniIp, listenIp, subnetId, availabilityZone, createdAt],
      [first.eniIp, first.listenIp, first.subnetId, first.availabilityZone, first.createdAt],
    )
    assert.equal(replacement.state, 'CREATE_IN_PROGRESS')
    await trial.run(launchHsm, { hsmId: replacement.id }, b.ctx)
    const now = await rowOf(replacement.id)
    assert.deepEqual([now.state, now.stateMessage, now.replaces], ['ACTIVE', 'HSM created.', null])
    assert.deepEqual([...simulated(b, now.id).content], ['alice', 'key'])
    assert.equal(b.world.hsms.has(first.id), false, 'nothing is left of the old one')
    assert.equal((await rowOf(first.id)).state, 'DELETED')
    const members = simulated(b, second.id).membership?.members.map(({ hsmId }) => hsmId)
    assert.deepEqual(members?.toSorted(), [now.id, second.id].toSorted())
  })
}

test('a zeroised HSM is DEGRADED and replaced at once, and what is said stays to be read meanwhile', async () => {
  const { first } = await pair(['key'])
  zeroise(first.id)
  await silentFor(first.id, 0)
  const message = (await inPlaceOf(first)).stateMessage
  assert.match(
    message ?? '',
    /^It takes the place of hsm-\S+\. The keys are destroyed\. .*the other HSMs .* hold its content/,
  )
})

test('of an HSM that cannot start for now, as on a full disk, it is shown why', async () => {
  const { first } = await pair(['key'])
  const { hosts } = b.ctx.ports
  const why = 'It cannot start: the disk is full.'
  const condition = () => Promise.resolve({ kind: 'running', why } as const)
  const ports = { ...b.ctx.ports, hosts: { on: (id: string) => ({ ...hosts.on(id), condition }) } }
  const cluster = await b.database.read.clusters.find(first.clusterId)
  assert.ok(cluster)
  await recover({ ...b.ctx, ports, recovery }, first, cluster, 6_000)
  const { state, stateMessage } = await rowOf(first.id)
  const expected = `The HSM does not answer. ${why} Its host restarts it; its keys are kept.`
  assert.deepEqual([state, stateMessage], ['DEGRADED', expected])
})

test('the only HSM of a cluster is restored from the newest backup, which its message names', async () => {
  const { cluster, first, second } = await pair(['key'])
  await b.database.read.hsms.changeState(second.id, { from: 'ACTIVE', to: 'DELETE_IN_PROGRESS' })
  await untilFinished(deleteHsm, { hsmId: second.id }, b.ctx)
  const backup = await b.database.read.backups.newestReady(cluster.id)
  simulated(b, first.id).content.add('too late')
  zeroise(first.id)
  await silentFor(first.id, 0)
  const replacement = await inPlaceOf(first)
  assert.match(
    replacement.stateMessage ?? '',
    /It was the only one: what was written since the backup backup-\S+ of .* is lost/,
  )
  await untilFinished(launchHsm, { hsmId: replacement.id }, b.ctx)
  assert.deepEqual([...simulated(b, replacement.id).content], ['key'])
  const message = (await rowOf(replacement.id)).stateMessage
  assert.equal(
    message,
    `HSM created. It holds the backup ${backup?.id} of ${backup?.createdAt.toISOString()}: what was written since is lost.`,
  )
})

test('what is left of a damaged HSM is kept when nobody else holds its content, and only then', async () => {
  const { first } = await pair(['key'])
  const { hsm: alone } = await activeCluster(b, ['key'])
  for (const { id } of [first, alone]) {
    Object.assign(simulated(b, id), { damaged: true, running: false })
    await silentFor(id, 60)
    await silentFor(id, 60)
  }
  for (const hsm of [first, alone]) {
    const { id, deadline } = await inPlaceOf(hsm)
    assert.ok(deadline)
    await b.database.read.hsms.update(id, { deadline: new Date(Date.now() + 1_500) })
    await untilFinished(launchHsm, { hsmId: id }, b.ctx)
  }
  assert.deepEqual([...b.world.aside], [alone.id])
})

test('an HSM whose directory is gone is shown at once and replaced after lostSeconds', async () => {
  const { first } = await pair(['key'])
  b.world.hsms.delete(first.id)
  await silentFor(first.id, 59)
  const shown = await rowOf(first.id)
  assert.equal(shown.state, 'DEGRADED')
  assert.match(shown.stateMessage ?? '', /directory of the HSM is gone/)
  await silentFor(first.id, 60)
  assert.notEqual((await inPlaceOf(first)).id, first.id)
})

test('an HSM that is only silent is shown after 5 seconds and replaced after silentSeconds', async () => {
  const { first } = await pair(['key'])
  simulated(b, first.id).running = false
  await silentFor(first.id, 4)
  assert.equal((await rowOf(first.id)).state, 'ACTIVE')
  await silentFor(first.id, 5)
  assert.equal((await rowOf(first.id)).state, 'DEGRADED')
  await silentFor(first.id, 599)
  assert.equal((await inPlaceOf(first)).id, first.id)
  await silentFor(first.id, 600)
  assert.notEqual((await inPlaceOf(first)).id, first.id)
})

test('the last HSM of a cluster is not replaced for its silence alone', async () => {
  const { hsm } = await activeCluster(b, ['key'])
  simulated(b, hsm.id).running = false
  await silentFor(hsm.id, 10)
  await silentFor(hsm.id, 100_000)
  assert.equal((await inPlaceOf(hsm)).id, hsm.id)
})

test('an UNINITIALIZED cluster gets another first HSM, and until then shows no CSR', async () => {
  const cluster = await insertCluster(b, { state: 'UNINITIALIZED' })
  const { id } = await insertHsm(b, cluster)
  await untilFinished(launchHsm, { hsmId: id }, b.ctx)
  const hsm = await rowOf(id)
  zeroise(id)
  await silentFor(id, 0)
  assert.equal((await b.database.read.clusters.find(cluster.id))?.clusterCsr, null)
  const replacement = await inPlaceOf(hsm)
  await untilFinished(launchHsm, { hsmId: replacement.id }, b.ctx)
  assert.equal((await b.database.read.clusters.find(cluster.id))?.clusterCsr, `csr of ${replacement.id}\n`)
})

for (const state of ['INITIALIZED', 'MODIFY_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS', 'INITIALIZE_IN_PROGRESS'] as const) {
  test(`while the cluster is ${state} a lost HSM is shown, not replaced`, async () => {
    const cluster = await insertCluster(b, { state })
    const hsm = await insertHsm(b, cluster, { state: 'ACTIVE', member: true, hostId: 'host-1' })
    await silentFor(hsm.id, 10_000)
    assert.equal((await inPlaceOf(hsm)).id, hsm.id)
    assert.equal((await rowOf(hsm.id)).state, 'DEGRADED')
  })
}

test('a replacement that could not be launched is replaced after lostSeconds', async () => {
  const { first } = await pair(['key'])
  zeroise(first.id)
  await silentFor(first.id, 0)
  const failing = await inPlaceOf(first)
  await b.database.read.hsms.update(failing.id, { deadline: new Date() })
  await untilFinished(launchHsm, { hsmId: failing.id }, b.ctx)
  const failed = await rowOf(failing.id)
  assert.equal(failed.state, 'DEGRADED')
  assert.match(failed.stateMessage ?? '', /^HSM replacement failed; it is tried again\./)
  await silentFor(failing.id, 60)
  const next = await inPlaceOf(first)
  assert.notEqual(next.id, failing.id)
  await untilFinished(launchHsm, { hsmId: next.id }, b.ctx)
  assert.deepEqual([...simulated(b, next.id).content], ['key'])
})

test('a replacement that is deleted before it came to be takes what it was to replace with it', async () => {
  const { first } = await pair(['key'])
  simulated(b, first.id).running = false
  await silentFor(first.id, 5)
  await silentFor(first.id, 600)
  const replacement = await inPlaceOf(first)
  await b.database.read.hsms.changeState(replacement.id, { from: 'CREATE_IN_PROGRESS', to: 'DELETE_IN_PROGRESS' })
  await untilFinished(deleteHsm, { hsmId: replacement.id }, b.ctx)
  assert.equal(b.world.hsms.has(first.id), false)
})

test('both HSMs of a cluster lost at once come back as one cluster', async () => {
  const { cluster, first, second } = await pair(['key'])
  for (const { id } of [first, second]) zeroise(id)
  for (const { id } of [first, second]) await silentFor(id, 0)
  const both = [await inPlaceOf(first), await inPlaceOf(second)]
  await Promise.all(both.map(({ id }) => untilFinished(launchHsm, { hsmId: id }, b.ctx)))
  assert.deepEqual(
    both.map(({ id }) => [...simulated(b, id).content]),
    [['key'], ['key']],
  )
  const lists = both.map(({ id }) => simulated(b, id).membership?.members.length)
  assert.deepEqual(lists, [2, 2])
  assert.equal(both.filter(({ id }) => simulated(b, id).incoming.size > 0).length, 1, 'one was restored, one joined it')
  assert.equal((await b.database.read.clusters.find(cluster.id))?.state, 'ACTIVE')
})
