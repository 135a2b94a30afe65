import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { jobs } from '../../provider-schema/jobs.ts'
import type { ClusterId } from '../../provider-schema/ids.ts'
import { TRANSITION_SECONDS } from '../../state/change-state.ts'
import { createCluster } from './create-cluster.ts'
import { copyBackup } from './copy-backup.ts'
import { restMs } from './pace.ts'
import {
  activeCluster,
  bench,
  insertCluster,
  insertCopy,
  insertHsm,
  simulated,
  type Bench,
} from './testing/fixtures.ts'
import { perform } from './transition.ts'
import { reconcile } from './transitions.ts'
import { startJobWorker, type JobWorker } from './worker.ts'

const STUCK_WORKER = fileURLToPath(new URL('./testing/stuck-worker.ts', import.meta.url))

let b: Bench
let worker: JobWorker | undefined
const children: ChildProcess[] = []
before(async () => (b = await bench()))
afterEach(async () => {
  await worker?.stop()
  worker = undefined
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
after(() => b.close())

const clusterNow = (id: ClusterId) => b.database.read.clusters.find(id)
const slow = { pace: 1 }

function start(pace: number): void {
  worker = startJobWorker({
    name: 'paced',
    database: b.database,
    databaseUrl: b.url,
    ports: b.world.ports,
    log: b.ctx.log,
    pace,
  })
}

/** Waits for something that comes by itself; generously, since the machine may be busy. */
async function until<Found>(look: () => Promise<Found | undefined | null | false>): Promise<Found> {
  const end = performance.now() + 60_000
  for (;;) {
    const found = await look()
    if (found) return found
    assert.ok(performance.now() < end, 'it did not come within a minute')
    await sleep(50)
  }
}

describe('the pace', () => {
  test('is a fraction of the times of AWS, and none for what has no such time', () => {
    for (let i = 0; i < 20; i++) {
      const ms = restMs(0.01, 'launch-hsm')
      assert.ok(ms >= 3_000 && ms <= 6_000, String(ms))
    }
    assert.equal(restMs(0, 'launch-hsm'), 0)
    assert.equal(restMs(1, 'housekeeping'), 0)
  })

  test('lets a transition rest before its work, without holding the worker; its time begins afterwards', async () => {
    const { id } = await insertCluster(b)
    const outcome = await perform(createCluster, { clusterId: id }, { ...b.ctx, ...slow })
    const row = await clusterNow(id)
    assert.ok(typeof outcome === 'object' && row?.notBefore && row.deadline)
    assert.equal(outcome.restsUntil.getTime(), row.notBefore.getTime())
    assert.ok(row.notBefore.getTime() > Date.now() + 50_000)
    assert.equal(row.deadline.getTime() - row.notBefore.getTime(), TRANSITION_SECONDS.cluster * 1000)
    assert.equal(row.state, 'CREATE_IN_PROGRESS')
  })

  test('is decided once: whoever performs it next waits for the same moment', async () => {
    const { id } = await insertCluster(b)
    const outcomes = await Promise.all(
      [1, 2, 3].map(() => perform(createCluster, { clusterId: id }, { ...b.ctx, ...slow })),
    )
    const moments = outcomes.map((outcome) => typeof outcome === 'object' && outcome.restsUntil.getTime())
    assert.equal(new Set(moments).size, 1)
    // A worker that was started at another pace does not hurry it either.
    assert.deepEqual(await perform(createCluster, { clusterId: id }, b.ctx), outcomes[0])
  })

  test('a resting transition whose job was lost gets one, which goes on resting', async () => {
    const { id } = await insertCluster(b)
    await perform(createCluster, { clusterId: id }, { ...b.ctx, ...slow })
    assert.ok((await reconcile(b.ctx)).includes(`create-cluster:${id}`))
    start(1)
    await until(async () => {
      const { rows } = await b.database.pool.query<{ waits: boolean }>(
        "select run_at > now() + interval '30 seconds' as waits from graphile_worker.jobs where key = $1",
        [`create-cluster:${id}`],
      )
      return rows[0]?.waits
    })
    assert.equal((await clusterNow(id))?.state, 'CREATE_IN_PROGRESS')
  })

  test('once rested, the work is done', async () => {
    const { id } = await insertCluster(b)
    await b.database.read.enqueue(jobs.createCluster, { clusterId: id })
    start(0.01)
    const row = await until(async () => {
      const now = await clusterNow(id)
      return now?.notBefore && now
    })
    assert.equal(row.state, 'CREATE_IN_PROGRESS')
    const rested = await until(async () => {
      const now = await clusterNow(id)
      return now?.state === 'UNINITIALIZED' && now
    })
    assert.ok(Date.now() >= (row.notBefore?.getTime() ?? Infinity))
    assert.deepEqual([rested.notBefore, rested.deadline], [null, null])
  })

  test('survives a worker that is killed while transitions rest', async () => {
    const { id } = await insertCluster(b)
    await b.database.read.enqueue(jobs.createCluster, { clusterId: id })
    const child = fork(STUCK_WORKER, { stdio: 'ignore' })
    children.push(child)
    child.send({ url: b.url, name: 'paced', pace: 0.02 })
    const { notBefore } = await until(async () => {
      const now = await clusterNow(id)
      return now?.notBefore && now
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    start(0.02)
    await until(async () => {
      const now = await clusterNow(id)
      if (now?.state !== 'UNINITIALIZED') assert.equal(now?.notBefore?.getTime(), notBefore?.getTime())
      return now?.state === 'UNINITIALIZED'
    })
    assert.ok(Date.now() >= (notBefore?.getTime() ?? Infinity))
  })

  test('a copy is seen in the other region before it rests', async () => {
    const { cluster } = await activeCluster(b, ['key'])
    const { id: backupId } = await b.database.read.backups.insert({
      id: `backup-${cluster.id.slice(8)}` as never,
      account: cluster.account,
      clusterId: cluster.id,
      hsmType: cluster.hsmType,
      mode: cluster.mode,
      state: 'READY',
      createdAt: new Date(),
      size: 1,
      digest: '00',
    })
    const copy = await insertCopy(b, backupId)
    const outcome = await perform(copyBackup, { copyId: copy.id }, { ...b.ctx, ...slow })
    assert.ok(typeof outcome === 'object')
    assert.equal(b.world.copies.get(copy.id)?.state, 'CREATE_IN_PROGRESS')
    assert.equal((await b.database.read.copies.find(copy.id))?.step, 'send')
  })

  test('the backup that a new HSM waits for does not rest on its own', async () => {
    const { cluster } = await activeCluster(b, ['key'])
    const hsm = await insertHsm(b, cluster, { notBefore: new Date() })
    await b.database.read.enqueue(jobs.launchHsm, { hsmId: hsm.id })
    start(1)
    await until(async () => (await b.database.read.hsms.find(hsm.id))?.state === 'ACTIVE')
  })

  test('an activation shows after a while, and its backup begins then', async () => {
    const { cluster, hsm } = await activeCluster(b, ['key'])
    await b.database.pool.query("update clusters set state = 'INITIALIZED' where id = $1", [cluster.id])
    simulated(b, hsm.id).phase = 'active'
    start(0.02)
    const seen = await until(async () => {
      const now = await clusterNow(cluster.id)
      return now?.notBefore && now
    })
    assert.equal(seen.state, 'INITIALIZED')
    await until(async () => (await clusterNow(cluster.id))?.state === 'ACTIVE')
    assert.ok(Date.now() >= (seen.notBefore?.getTime() ?? Infinity))
    const backups = await b.database.read.backups.page({
      account: cluster.account,
      clusterIds: [cluster.id],
      ascending: true,
      limit: 5,
    })
    assert.equal(backups.length, 1)
  })
})
