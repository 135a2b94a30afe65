/** Changes of the HSM type and their rollback, in the simulated world; with real HSMs: test/hsm-type.e2e.test.ts. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { modifyHsmType } from '../../api/cloudhsmv2/modify-hsm-type.ts'
import type { ClusterId, HsmId } from '../../provider-schema/ids.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import { SWAP_SECONDS } from './hsm-swap.ts'
import { launchHsm } from './launch-hsm.ts'
import { migrateHsmType } from './migrate-hsm-type.ts'
import { rollBackHsmType } from './roll-back-hsm-type.ts'
import { activeCluster, bench, insertHsm, simulated, type Bench } from './testing/fixtures.ts'
import { TRIALS, type Trial, untilFinished } from './testing/trials.ts'
import { perform, type JobContext } from './transition.ts'

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())

const DAY_MS = 86_400_000

async function clusterNow(id: ClusterId): Promise<Cluster> {
  const row = await b.database.read.clusters.find(id)
  assert.ok(row)
  return row
}
const hsmsNow = (id: ClusterId) => b.database.read.hsms.ofCluster(id)

/** An ACTIVE hsm1.medium cluster whose HSMs hold some words. */
async function hsm1Cluster(size: number, words: readonly string[]): Promise<{ cluster: Cluster; hsms: Hsm[] }> {
  const { cluster } = await activeCluster(b, words, 'hsm1.medium')
  while ((await hsmsNow(cluster.id)).length < size) {
    const hsm = await insertHsm(b, cluster, { hsmType: 'hsm1.medium' })
    await untilFinished(launchHsm, { hsmId: hsm.id }, b.ctx)
  }
  return { cluster, hsms: await hsmsNow(cluster.id) }
}

const modify = (id: ClusterId, hsmType: string, now = new Date()) =>
  b.database.transaction(async (tx) => {
    const cluster = await tx.clusters.lock(id)
    assert.ok(cluster)
    return modifyHsmType({ tx, now }, cluster, hsmType)
  })

/** Launches what the queue would launch, as long as something runs. */
async function launching(clusterId: ClusterId, ctx: JobContext, work: Promise<unknown>): Promise<void> {
  const over = { now: false }
  const launches = (async () => {
    while (!over.now) {
      for (const { id, state } of await hsmsNow(clusterId)) {
        if (state === 'CREATE_IN_PROGRESS') await perform(launchHsm, { hsmId: id }, ctx)
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })()
  await work.finally(() => (over.now = true))
  await launches
}

/** Performs the change that the cluster is in, in the way of a trial, and the rollback that it may turn into. */
async function carryOut(id: ClusterId, trial: Trial['run'] = untilFinished, ctx: JobContext = b.ctx): Promise<Cluster> {
  if ((await clusterNow(id)).state === 'MODIFY_IN_PROGRESS') {
    await launching(id, b.ctx, trial(migrateHsmType, { clusterId: id }, ctx))
  }
  if ((await clusterNow(id)).state === 'ROLLBACK_IN_PROGRESS') {
    await launching(id, b.ctx, trial(rollBackHsmType, { clusterId: id }, ctx))
  }
  return clusterNow(id)
}

const places = (hsms: readonly Hsm[]) =>
  hsms.map(({ eniId, eniIp, listenIp, subnetId }) => [eniId, eniIp, listenIp, subnetId])
const contents = (hsms: readonly Hsm[]) => hsms.map(({ id }) => [...simulated(b, id).content].toSorted())
const readyBackups = async (id: ClusterId) =>
  (
    await b.database.read.backups.page({
      account: '000000000000' as never,
      clusterIds: [id],
      ascending: true,
      limit: 50,
    })
  ).filter(({ state }) => state === 'READY')

/** Writes as a client would, where the HSM lets it. */
function write(id: HsmId, word: string): void {
  assert.equal(simulated(b, id).membership?.limitedWrites ?? false, false)
  for (const { id: each } of b.world.hsms.values()) {
    if (simulated(b, id).membership?.members.some(({ hsmId }) => hsmId === each)) simulated(b, each).content.add(word)
  }
}

for (const trial of TRIALS) {
  describe(trial.name, () => {
    test('two HSMs change their type in their places, each after a backup, and hold what they held', async () => {
      const { cluster, hsms } = await hsm1Cluster(2, ['alice', 'key'])
      const backupsBefore = (await readyBackups(cluster.id)).length
      const begun = await modify(cluster.id, 'hsm2m.medium')
      assert.equal(begun.state, 'MODIFY_IN_PROGRESS')
      const now = await carryOut(cluster.id, (...args) => trial.run(...args))
      assert.equal(now.state, 'ACTIVE')
      assert.equal(now.hsmType, 'hsm2m.medium')
      const swapped = await hsmsNow(cluster.id)
      assert.deepEqual(
        swapped.map(({ hsmType, state, replaces }) => [hsmType, state, replaces]),
        [
          ['hsm2m.medium', 'ACTIVE', null],
          ['hsm2m.medium', 'ACTIVE', null],
        ],
      )
      assert.deepEqual(places(swapped), places(hsms))
      for (const { id } of hsms) {
        assert.ok(!swapped.some((hsm) => hsm.id === id))
        assert.equal(b.world.hsms.has(id), false, 'nothing is left of it')
      }
      assert.deepEqual(contents(swapped), [
        ['alice', 'key'],
        ['alice', 'key'],
      ])
      assert.equal((await readyBackups(cluster.id)).length, backupsBefore + 2)
      for (const { id } of swapped) assert.equal(simulated(b, id).membership?.limitedWrites, undefined)
    })

    test('a rollback brings back the old type and the content before the change', async () => {
      const { cluster, hsms } = await hsm1Cluster(2, ['old'])
      await modify(cluster.id, 'hsm2m.medium')
      await carryOut(cluster.id)
      for (const { id } of await hsmsNow(cluster.id)) write(id, 'new')
      const begun = await modify(cluster.id, 'hsm1.medium')
      assert.equal(begun.state, 'ROLLBACK_IN_PROGRESS')
      const now = await carryOut(cluster.id, (...args) => trial.run(...args))
      assert.equal(now.state, 'ACTIVE')
      assert.equal(now.hsmType, 'hsm1.medium')
      assert.equal(now.hsmTypeRollbackExpiration, null)
      const back = await hsmsNow(cluster.id)
      assert.deepEqual(places(back), places(hsms))
      assert.deepEqual(contents(back), [['old'], ['old']])
      const last = (await readyBackups(cluster.id)).find(({ hsmType }) => hsmType === 'hsm2m.medium')
      assert.ok(last, 'what was taken away is kept')
      assert.equal(b.world.store.get(last.id)?.toString(), '["old","new"]')
    })

    test('the only HSM of a cluster changes its type by way of its backup', async () => {
      const { cluster } = await hsm1Cluster(1, ['only'])
      await modify(cluster.id, 'hsm2m.medium')
      assert.equal((await carryOut(cluster.id, (...args) => trial.run(...args))).hsmType, 'hsm2m.medium')
      assert.deepEqual(contents(await hsmsNow(cluster.id)), [['only']])
    })
  })
}

test('while the type changes every HSM refuses writes and the cluster shows how far it is', async () => {
  const { cluster } = await hsm1Cluster(2, ['key'])
  const start = new Date()
  const begun = await modify(cluster.id, 'hsm2m.medium', start)
  assert.equal(begun.hsmTypeRollbackExpiration?.getTime(), start.getTime() + DAY_MS)
  const seen = new Set<string>()
  const onStep: JobContext['onStep'] = ({ step, recorded }) => {
    if (!recorded || step === 'check-clients' || step === 'limit') return
    for (const { membership, phase } of b.world.hsms.values()) {
      if (membership?.clusterId === cluster.id && phase === 'active') assert.equal(membership.limitedWrites, true, step)
    }
    seen.add(step)
  }
  await carryOut(cluster.id, untilFinished, { ...b.ctx, onStep })
  assert.ok(seen.has('validate'))
})

test('a client of too old a version in the last seven days reverts the change, and the cluster says which', async () => {
  const { cluster, hsms } = await hsm1Cluster(2, ['key'])
  const [, second] = hsms
  assert.ok(second)
  const backups = (await readyBackups(cluster.id)).length
  const day = new Date()
  simulated(b, second.id).clients = [
    { client: 'strongroom-sdk/0.0.9', seenAt: day.getTime() },
    { client: 'strongroom-sdk/0.1.0', seenAt: day.getTime() },
  ]
  await modify(cluster.id, 'hsm2m.medium')
  const reverted = await carryOut(cluster.id)
  assert.deepEqual([reverted.state, reverted.hsmType, reverted.migration], ['ACTIVE', 'hsm1.medium', null])
  assert.match(reverted.stateMessage ?? '', /undone\. .* strongroom-sdk 0\.0\.9 \(0\.1\.0 is needed\)/)
  const ids = (rows: readonly Hsm[]) => rows.map(({ id }) => id)
  assert.deepEqual(ids(await hsmsNow(cluster.id)), ids(hsms))
  assert.equal((await readyBackups(cluster.id)).length, backups)
  for (const { id } of hsms) assert.equal(simulated(b, id).membership?.limitedWrites, undefined)
  // By the service clock, so that a rehearsal need not wait.
  await modify(cluster.id, 'hsm2m.medium')
  const clock = () => new Date(day.getTime() + 7 * DAY_MS)
  assert.equal((await carryOut(cluster.id, untilFinished, { ...b.ctx, clock })).hsmType, 'hsm2m.medium')
})

for (const [what, definition, wanted] of [
  ['a change', migrateHsmType, 'hsm2m.medium'],
  ['its rollback', rollBackHsmType, 'hsm1.medium'],
] as const) {
  test(`at the pace of AWS ${what} rests half an hour before each swap, while the HSM works on`, async () => {
    const { cluster, hsms } = await hsm1Cluster(2, ['key'])
    if (wanted === 'hsm1.medium') {
      await modify(cluster.id, 'hsm2m.medium')
      await carryOut(cluster.id)
    }
    await modify(cluster.id, wanted)
    const paced = { ...b.ctx, pace: 1 }
    const goOn = () =>
      launching(
        cluster.id,
        paced,
        untilFinished<'cluster', { clusterId: ClusterId }>(definition, { clusterId: cluster.id }, paced),
      )
    const rests: number[] = []
    for (let swap = 0; swap < hsms.length; swap++) {
      await goOn()
      const { step, notBefore, deadline, migration } = await clusterNow(cluster.id)
      assert.ok(notBefore && deadline && migration?.swap)
      assert.equal(step, 'drain')
      const minutes = (notBefore.getTime() - Date.now()) / 60_000
      assert.ok(minutes > 20 && minutes < 33, `${minutes} minutes`)
      assert.equal(deadline.getTime() - notBefore.getTime(), SWAP_SECONDS * 1_000)
      assert.deepEqual(
        (await hsmsNow(cluster.id)).map(({ id, hsmType }) => [hsmType === wanted, simulated(b, id).draining]),
        hsms.map((_, at) => [at < swap, false]),
      )
      // A worker that comes meanwhile waits for the same moment.
      await goOn()
      assert.equal((await clusterNow(cluster.id)).notBefore?.getTime(), notBefore.getTime())
      rests.push(notBefore.getTime())
      await b.database.read.clusters.update(cluster.id, { notBefore: new Date() })
    }
    await goOn()
    const now = await clusterNow(cluster.id)
    assert.deepEqual([now.state, now.hsmType, now.notBefore], ['ACTIVE', wanted, null])
    assert.equal(new Set(rests).size, hsms.length)
  })
}

test('a new HSM that holds something else takes the whole change back, and the cluster says why', async () => {
  const { cluster, hsms } = await hsm1Cluster(2, ['key'])
  await modify(cluster.id, 'hsm2m.medium')
  const onStep: JobContext['onStep'] = ({ job, step, recorded }) => {
    if (job !== migrateHsmType.job.name || step !== 'start' || recorded) return
    for (const hsm of b.world.hsms.values()) {
      if (hsm.clusterId === cluster.id && !hsms.some(({ id }) => id === hsm.id)) hsm.content.add('spoilt')
    }
  }
  const recovery = { lostSeconds: 60, silentSeconds: 600, validationSeconds: 0.2 }
  const now = await carryOut(cluster.id, untilFinished, { ...b.ctx, onStep, recovery })
  assert.equal(now.state, 'ACTIVE')
  assert.equal(now.hsmType, 'hsm1.medium')
  assert.match(now.stateMessage ?? '', /The change to hsm2m\.medium is undone\. .*holds other content/)
  const back = await hsmsNow(cluster.id)
  assert.deepEqual(contents(back), [['key'], ['key']])
  assert.deepEqual(places(back), places(hsms))
  assert.ok(back.every(({ hsmType, state }) => hsmType === 'hsm1.medium' && state === 'ACTIVE'))
  assert.ok(
    back.some(({ id }) => id === hsms[1]?.id),
    'one that was not swapped stays',
  )
  for (const { id } of back) assert.equal(simulated(b, id).draining, false)
})

test('a new HSM that cannot be started takes the change back; the only HSM comes back from its backup', async () => {
  const { cluster } = await hsm1Cluster(1, ['only'])
  await modify(cluster.id, 'hsm2m.medium')
  const swapping = launching(cluster.id, b.ctx, untilFinished(migrateHsmType, { clusterId: cluster.id }, b.ctx))
  b.world.failNext('restore-commit', 1_000)
  for (;;) {
    const replacement = (await hsmsNow(cluster.id)).find(({ hsmType }) => hsmType === 'hsm2m.medium')
    if (replacement) {
      await b.database.read.hsms.update(replacement.id, { deadline: new Date() })
      break
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await swapping
  b.world.failNext('restore-commit', 0)
  const now = await carryOut(cluster.id)
  assert.equal(now.state, 'ACTIVE')
  assert.match(now.stateMessage ?? '', /A new HSM could not be started/)
  assert.deepEqual(contents(await hsmsNow(cluster.id)), [['only']])
})

test('an HSM that cannot be drained before its swap takes the change back, and serves on', async () => {
  const { cluster, hsms } = await hsm1Cluster(2, ['key'])
  await modify(cluster.id, 'hsm2m.medium')
  b.world.failNext('inventory', 1_000)
  await b.database.read.clusters.update(cluster.id, { step: 'compare', migration: await swapOf(cluster.id, hsms[0]) })
  await b.database.read.clusters.update(cluster.id, { deadline: new Date(Date.now() + 300) })
  simulated(b, hsms[0]?.id ?? ('' as HsmId)).draining = true
  const now = await carryOut(cluster.id)
  b.world.failNext('inventory', 0)
  assert.equal(now.hsmType, 'hsm1.medium')
  assert.deepEqual(
    (await hsmsNow(cluster.id)).map(({ id }) => id),
    hsms.map(({ id }) => id),
  )
  for (const { id } of hsms) assert.equal(simulated(b, id).draining, false)
})

async function swapOf(id: ClusterId, hsm: Hsm | undefined) {
  const { migration } = await clusterNow(id)
  assert.ok(migration && hsm)
  const swap = { hsmId: hsm.id, replacementId: `${hsm.id}x` as HsmId, backupId: null, digest: null, validateBy: null }
  return { ...migration, swap }
}

test('a rollback replaces an HSM of the old type that is lost from the backup, instead of waiting for it', async () => {
  const { cluster, hsms } = await hsm1Cluster(2, ['key'])
  const [first, second] = hsms
  assert.ok(first && second)
  await modify(cluster.id, 'hsm2m.medium')
  const onStep: JobContext['onStep'] = ({ job, step, recorded }) => {
    if (job === migrateHsmType.job.name && step === 'start' && !recorded) {
      for (const hsm of b.world.hsms.values())
        if (hsm.clusterId === cluster.id && hsm.id !== second.id) hsm.content.add('spoilt')
    }
  }
  const recovery = { lostSeconds: 60, silentSeconds: 600, validationSeconds: 0 }
  await launching(
    cluster.id,
    b.ctx,
    untilFinished(migrateHsmType, { clusterId: cluster.id }, { ...b.ctx, onStep, recovery }),
  )
  assert.equal((await clusterNow(cluster.id)).state, 'ROLLBACK_IN_PROGRESS')
  b.world.hsms.delete(second.id)
  await b.database.read.hsms.changeState(second.id, { from: 'ACTIVE', to: 'DEGRADED' })
  const now = await carryOut(cluster.id)
  assert.equal(now.state, 'ACTIVE')
  assert.deepEqual(contents(await hsmsNow(cluster.id)), [['key'], ['key']])
})

test('two HSMs launched at once from a backup alone become one cluster, not two', async () => {
  const { cluster, hsms } = await hsm1Cluster(1, ['key'])
  await modify(cluster.id, 'hsm2m.medium')
  await carryOut(cluster.id)
  for (const { id, state } of await hsmsNow(cluster.id)) {
    b.world.hsms.delete(id)
    await b.database.read.hsms.changeState(id, {
      from: state,
      to: 'DELETED',
      set: { deletedAt: new Date(), member: false },
    })
  }
  assert.equal(hsms.length, 1)
  const two = [await insertHsm(b, cluster), await insertHsm(b, cluster)]
  await Promise.all(two.map((hsm) => untilFinished(launchHsm, { hsmId: hsm.id }, b.ctx)))
  const restored = two.filter(({ id }) => simulated(b, id).incoming.size > 0)
  assert.equal(restored.length, 1, 'the other one joined it')
  assert.deepEqual(contents(two), [['key'], ['key']])
})
