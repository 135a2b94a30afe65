import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { jobs } from '../../provider-schema/jobs.ts'
import type { ClusterId, HsmId } from '../../provider-schema/ids.ts'
import { openDatabase, type Database } from '../../state/database.ts'
import { tellHealth } from '../../state/hsm-health.ts'
import { freshDatabase } from '../../test/support/database.ts'
import { activeCluster, insertCluster, insertHsm, simulated } from './testing/fixtures.ts'
import { simulatedWorld, type SimulatedWorld } from './testing/simulated-world.ts'
import { startJobWorker, type JobWorker } from './worker.ts'

const STUCK_WORKER = fileURLToPath(new URL('./testing/stuck-worker.ts', import.meta.url))
const HOST = { id: 'host-1', zones: ['us-east-1a'], capacity: 100 }
const log = pino({ level: 'silent' })

let fresh: Awaited<ReturnType<typeof freshDatabase>>
let database: Database
let world: SimulatedWorld
let worker: JobWorker | undefined
let children: ChildProcess[]

before(async () => {
  fresh = await freshDatabase()
  database = openDatabase({ url: fresh.url })
})
beforeEach(() => {
  world = simulatedWorld()
  children = []
})
afterEach(async () => {
  await worker?.stop()
  worker = undefined
  for (const child of children) child.kill('SIGKILL')
})
after(async () => {
  await database.close()
  await fresh.drop()
})

const start = (name = 'second') =>
  (worker = startJobWorker({ name, database, databaseUrl: fresh.url, ports: world.ports, log, host: HOST }))

/** A worker process that holds the job of this HSM in a step that never ends. */
async function stuckWorker(name: string): Promise<ChildProcess> {
  const child = fork(STUCK_WORKER, { stdio: 'ignore' })
  children.push(child)
  child.send({ url: fresh.url, name })
  await once(child, 'message')
  return child
}

async function launching(): Promise<HsmId> {
  await database.read.hosts.heartbeat(HOST)
  const cluster = await insertCluster({ database }, { state: 'UNINITIALIZED' })
  const hsm = await insertHsm({ database }, cluster)
  await database.read.enqueue(jobs.launchHsm, { hsmId: hsm.id })
  return hsm.id
}

/** Milliseconds until an HSM is in a state; fails after so many seconds. */
async function millisUntil(id: HsmId, state: string, seconds = 10): Promise<number> {
  const began = performance.now()
  while ((await database.read.hsms.find(id))?.state !== state) {
    assert.ok(performance.now() - began < seconds * 1_000, `${id} is not ${state} after ${seconds} seconds`)
    await sleep(20)
  }
  return performance.now() - began
}

describe('the job worker', () => {
  test('performs what is queued in the same transaction as its rows', async () => {
    start()
    const id = await launching()
    await millisUntil(id, 'ACTIVE')
  })

  test('takes over the jobs of a worker that was killed, within seconds', async () => {
    const stuck = stuckWorker('first')
    const id = await launching()
    ;(await stuck).kill('SIGKILL')
    start('second')
    assert.ok((await millisUntil(id, 'ACTIVE')) < 7_000)
  })

  test('takes up at once what it held itself when it was killed', async () => {
    const stuck = stuckWorker('same')
    const id = await launching()
    ;(await stuck).kill('SIGKILL')
    start('same')
    await millisUntil(id, 'ACTIVE')
  })

  test('leaves a live worker its jobs', async () => {
    const stuck = stuckWorker('alive')
    const id = await launching()
    await stuck
    start()
    await sleep(5_000)
    const hsm = await database.read.hsms.find(id)
    assert.equal(hsm?.state, 'CREATE_IN_PROGRESS')
    assert.equal(hsm.step, 'start')
  })

  test('queues a job for a row in transition that has none, when it starts and again and again', async () => {
    await database.read.hosts.heartbeat(HOST)
    const orphan = async () => insertHsm({ database }, await insertCluster({ database }, { state: 'UNINITIALIZED' }))
    const first = await orphan()
    start()
    await millisUntil(first.id, 'ACTIVE')
    // Who found the first has looked once: this one is for a later look.
    const second = await orphan()
    await millisUntil(second.id, 'ACTIVE', 60)
  })

  test('leaves a copy that comes in from another region to that region', async () => {
    const { cluster } = await activeCluster({ database, world }, ['key'])
    const backup = await database.read.backups.insert({
      id: `backup-${cluster.id.slice(8)}` as never,
      account: cluster.account,
      clusterId: cluster.id,
      hsmType: cluster.hsmType,
      mode: cluster.mode,
      state: 'CREATE_IN_PROGRESS',
      createdAt: new Date(),
      copyId: 'copy-aaaaaaaaaaa' as never,
    })
    start()
    await sleep(1_500)
    assert.equal((await database.read.backups.find(backup.id))?.state, 'CREATE_IN_PROGRESS')
  })
})

describe('the watcher', () => {
  test('makes an INITIALIZED cluster ACTIVE once a client has activated it, and has its first backup taken', async () => {
    const { cluster, hsm } = await activeCluster({ database, world }, ['key'])
    await database.pool.query(`update clusters set state = 'INITIALIZED' where id = $1`, [cluster.id])
    simulated({ world }, hsm.id).phase = 'initialized'
    start()
    await sleep(600)
    assert.equal((await database.read.clusters.find(cluster.id))?.state, 'INITIALIZED')
    simulated({ world }, hsm.id).phase = 'active'
    const began = performance.now()
    while ((await database.read.backups.newestReady(cluster.id)) === undefined) {
      assert.ok(performance.now() - began < 10_000, 'no backup after ten seconds')
      await sleep(20)
    }
    assert.equal((await database.read.clusters.find(cluster.id))?.state, 'ACTIVE')
  })

  test('does not let a cluster that was just initialised wait until its HSM is due', async () => {
    const inState = (id: ClusterId, state: string) =>
      database.pool.query('update clusters set state = $2 where id = $1', [id, state])
    const waiting = await activeCluster({ database, world }, ['key'])
    await inState(waiting.cluster.id, 'INITIALIZED')
    // It is asked every round: what passes is counted by it.
    const clock = simulated({ world }, waiting.hsm.id)
    clock.phase = 'initialized'
    const { cluster, hsm } = await activeCluster({ database, world }, ['key'])
    await inState(cluster.id, 'UNINITIALIZED')
    start()
    const { looks } = simulated({ world }, hsm.id)
    const deadline = Date.now() + 10_000
    while (simulated({ world }, hsm.id).looks === looks && Date.now() < deadline) await sleep(5)
    const before = clock.looks
    await inState(cluster.id, 'INITIALIZED')
    while ((await database.read.clusters.find(cluster.id))?.state !== 'ACTIVE' && Date.now() < deadline) await sleep(5)
    assert.equal((await database.read.clusters.find(cluster.id))?.state, 'ACTIVE')
    assert.ok(clock.looks - before < 5, `${clock.looks - before} rounds`)
  })

  test('shows an HSM that does not answer as DEGRADED, and as ACTIVE when it answers again', async () => {
    const { hsm } = await activeCluster({ database, world }, ['key'])
    start()
    simulated({ world }, hsm.id).running = false
    await millisUntil(hsm.id, 'DEGRADED')
    assert.match((await database.read.hsms.find(hsm.id))?.stateMessage ?? '', /does not answer/)
    simulated({ world }, hsm.id).running = true
    await millisUntil(hsm.id, 'ACTIVE')
    assert.equal((await database.read.hsms.find(hsm.id))?.stateMessage, 'HSM created.')
  })

  test('stores what HSMs say of themselves, and forgets the gone', async () => {
    const { hsm } = await activeCluster({ database, world }, ['key', 'another'])
    const { hsm: gone } = await activeCluster({ database, world }, ['key'])
    await tellHealth(database.sql, [{ hsmId: gone.id, answers: true, keys: 1, sessionKeys: 0, users: 0, sessions: 0 }])
    await database.pool.query("update hsms set state = 'DELETED' where id = $1", [gone.id])
    start()
    const stored = async (id: HsmId) => {
      const { rows } = await database.pool.query<{ keys: number }>('select keys from hsm_health where hsm_id = $1', [
        id,
      ])
      return rows[0]?.keys
    }
    const began = performance.now()
    while ((await stored(hsm.id)) !== 2 || (await stored(gone.id)) !== undefined) {
      assert.ok(performance.now() - began < 30_000, 'not stored after thirty seconds')
      await sleep(50)
    }
  })

  test('tells an HSM the list of members that it missed', async () => {
    const { cluster, hsm } = await activeCluster({ database, world }, ['key'])
    await database.read.clusters.update(cluster.id, { membershipEpoch: 7 })
    start()
    const began = performance.now()
    while (simulated({ world }, hsm.id).membership?.epoch !== 7) {
      assert.ok(performance.now() - began < 10_000, 'not told after ten seconds')
      await sleep(20)
    }
  })
})
