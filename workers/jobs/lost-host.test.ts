/** What becomes of the HSMs of a host that is lost, in the simulated world; with real ones: test/hosts.e2e.test.ts. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import { hosts } from '../../migrations/schema.ts'
import type { HsmId } from '../../provider-schema/ids.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import { deleteHsm } from './delete-hsm.ts'
import { launchHsm } from './launch-hsm.ts'
import { recover } from './recover.ts'
import { activeCluster, bench, insertHsm, simulated, type Bench } from './testing/fixtures.ts'
import { TRIALS, untilFinished } from './testing/trials.ts'

const ZONE = 'us-east-1c'
const RECOVERY = { lostSeconds: 60, silentSeconds: 600, validationSeconds: 30 }

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())
beforeEach(async () => {
  // A machine that is busy enough would let them fall silent within a test.
  for (const id of ['host-c1', 'host-c2', 'host-c3']) await b.database.sql.delete(hosts).where(eq(hosts.id, id))
  await host('host-c1')
})

const inAnHour = sql`now() + interval '1 hour'`

async function host(id: string, { zones = [ZONE], capacity = 100 } = {}): Promise<void> {
  await b.database.read.hosts.heartbeat({ id, zones, capacity })
  await b.database.sql.update(hosts).set({ heartbeatAt: inAnHour }).where(eq(hosts.id, id))
  b.world.returnHost(id)
}

/** A machine without power: neither the host nor its HSMs are heard of any more. */
async function lose(id: string): Promise<void> {
  await silence(id)
  b.world.loseHost(id)
}

async function silence(id: string): Promise<void> {
  await b.database.sql
    .update(hosts)
    .set({ heartbeatAt: sql`now() - interval '1 minute'` })
    .where(eq(hosts.id, id))
  b.world.hosts.on(id).silent = true
}

async function rowOf(id: HsmId): Promise<Hsm> {
  const row = await b.database.read.hsms.find(id)
  assert.ok(row)
  return row
}

async function silentFor(id: HsmId, seconds: number): Promise<void> {
  const hsm = await rowOf(id)
  const cluster = await b.database.read.clusters.find(hsm.clusterId)
  assert.ok(cluster)
  await recover({ ...b.ctx, recovery: RECOVERY }, hsm, cluster, seconds * 1_000)
}

async function inPlaceOf({ clusterId, eniId }: Hsm): Promise<Hsm> {
  const [hsm, ...more] = (await b.database.read.hsms.ofCluster(clusterId)).filter((each) => each.eniId === eniId)
  assert.ok(hsm)
  assert.deepEqual(more, [], 'a place is held by one')
  return hsm
}

/** An HSM on host-1, which stays, and one on host-c1. */
async function pair(): Promise<{ cluster: Cluster; staying: Hsm; lost: Hsm }> {
  const { cluster, hsm: staying } = await activeCluster(b, ['alice', 'key'])
  const { id } = await insertHsm(b, cluster, { availabilityZone: ZONE })
  await untilFinished(launchHsm, { hsmId: id }, b.ctx)
  const lost = await rowOf(id)
  assert.deepEqual([lost.state, lost.hostId], ['ACTIVE', 'host-c1'])
  return { cluster, staying, lost }
}

for (const trial of TRIALS) {
  test(`an HSM of a lost host is replaced on another one of its zone: ${trial.name}`, async () => {
    const { staying, lost } = await pair()
    await host('host-c2')
    await lose('host-c1')
    await silentFor(lost.id, 5)
    await silentFor(lost.id, 60)
    const begun = await inPlaceOf(lost)
    assert.match(
      begun.stateMessage ?? '',
      /^It takes the place of hsm-\S+\. The HSM does not answer\. Its host host-c1/,
    )
    await trial.run(launchHsm, { hsmId: begun.id }, b.ctx)
    const now = await rowOf(begun.id)
    assert.deepEqual([now.state, now.hostId, simulated(b, now.id).hostId], ['ACTIVE', 'host-c2', 'host-c2'])
    assert.deepEqual([now.eniIp, now.listenIp, now.availabilityZone], [lost.eniIp, lost.listenIp, ZONE])
    assert.deepEqual([...simulated(b, now.id).content], ['alice', 'key'])
    const members = simulated(b, staying.id).membership?.members.map(({ hsmId }) => hsmId)
    assert.deepEqual(members?.toSorted(), [now.id, staying.id].toSorted(), 'the old one is a member no more')
    assert.equal(b.world.hsms.has(lost.id), true, 'nobody can reach what is left of it')
    b.world.returnHost('host-c1')
    assert.equal(b.world.hsms.has(lost.id), false, 'its host removes it as soon as it is back')
    assert.deepEqual([...simulated(b, now.id).content], ['alice', 'key'])
  })

  test(`an HSM whose host falls silent before it runs is placed elsewhere: ${trial.name}`, async () => {
    const { cluster } = await activeCluster(b, ['key'])
    const { id } = await insertHsm(b, cluster, { availabilityZone: ZONE })
    let left = false
    const ports: typeof b.ctx.ports = {
      ...b.ctx.ports,
      hosts: {
        on: (hostId) => ({
          ...b.ctx.ports.hosts.on(hostId),
          ensureRunning: async (hsm) => {
            await b.ctx.ports.hosts.on(hostId).ensureRunning(hsm)
            if (left) return
            left = true
            await lose(hostId)
            await host('host-c2')
          },
        }),
      },
    }
    await trial.run(launchHsm, { hsmId: id }, { ...b.ctx, ports })
    const now = await rowOf(id)
    assert.deepEqual([now.state, now.hostId, simulated(b, id).hostId], ['ACTIVE', 'host-c2', 'host-c2'])
    assert.deepEqual([...simulated(b, id).content], ['key'])
  })
}

test('a lost host is waited for: lostSeconds, and as long as no other one of the zone has room', async () => {
  const { lost } = await pair()
  await lose('host-c1')
  await silentFor(lost.id, 5)
  assert.equal((await rowOf(lost.id)).state, 'DEGRADED')
  await host('host-c2', { zones: ['us-east-1a'] })
  await host('host-c3', { capacity: 0 })
  await silentFor(lost.id, 100_000)
  assert.equal((await inPlaceOf(lost)).id, lost.id)
  await host('host-c2')
  await silentFor(lost.id, 59)
  assert.equal((await inPlaceOf(lost)).id, lost.id)
  await silentFor(lost.id, 60)
  assert.notEqual((await inPlaceOf(lost)).id, lost.id)
})

test('the only HSM of a cluster waits for its host, and is there again with it', async () => {
  const { hsm: other, cluster } = await activeCluster(b, ['key'])
  const { id } = await insertHsm(b, cluster, { availabilityZone: ZONE })
  await untilFinished(launchHsm, { hsmId: id }, b.ctx)
  await b.database.read.hsms.changeState(other.id, { from: 'ACTIVE', to: 'DELETE_IN_PROGRESS' })
  await untilFinished(deleteHsm, { hsmId: other.id }, b.ctx)
  await host('host-c2')
  await lose('host-c1')
  await silentFor(id, 5)
  await silentFor(id, 100_000)
  assert.equal((await rowOf(id)).state, 'DEGRADED')
  b.world.returnHost('host-c1')
  assert.deepEqual([...simulated(b, id).content], ['key'])
})

test('an address that the other host cannot bind is given up, unless it was asked for and is only shown', async () => {
  const { cluster, lost } = await pair()
  const asked = await insertHsm(b, cluster, { availabilityZone: ZONE, eniIp: '10.1.2.3' })
  await untilFinished(launchHsm, { hsmId: asked.id }, b.ctx)
  await host('host-c2')
  b.world.hosts.on('host-c2').addresses = ['127.77.0.1', '127.77.0.2']
  await lose('host-c1')
  for (const { id } of [lost, asked]) {
    await silentFor(id, 5)
    await silentFor(id, 60)
    await untilFinished(launchHsm, { hsmId: (await inPlaceOf(await rowOf(id))).id }, b.ctx)
  }
  const [first, second] = [await inPlaceOf(lost), await inPlaceOf(asked)]
  assert.deepEqual([first.eniIp, first.listenIp, first.stateMessage], ['127.77.0.1', '127.77.0.1', 'HSM created.'])
  assert.deepEqual([second.eniIp, second.listenIp], ['10.1.2.3', '127.77.0.2'])
  assert.match(second.stateMessage ?? '', /listens on 127\.77\.0\.2/)
})

test('an HSM is placed on the live host of its zone that has the fewest', async () => {
  const { cluster } = await activeCluster(b, ['key'])
  const zones = ['us-east-1d']
  for (const id of ['host-d1', 'host-d2', 'host-d3']) await host(id, { zones })
  await host('host-c2')
  await lose('host-d3')
  const placed: (string | null)[] = []
  for (let i = 0; i < 4; i += 1) {
    const { id } = await insertHsm(b, cluster, { availabilityZone: 'us-east-1d' })
    await untilFinished(launchHsm, { hsmId: id }, b.ctx)
    placed.push((await rowOf(id)).hostId)
  }
  assert.deepEqual(placed, ['host-d1', 'host-d2', 'host-d1', 'host-d2'])
})

test('an HSM that is replaced while its host lives stays there, with its address, however many are on it', async () => {
  const { cluster, lost: tampered } = await pair()
  await insertHsm(b, cluster, { availabilityZone: ZONE, hostId: 'host-c1' })
  await host('host-c2')
  Object.assign(simulated(b, tampered.id), { phase: 'zeroised', running: false })
  await silentFor(tampered.id, 0)
  const { id } = await inPlaceOf(tampered)
  await untilFinished(launchHsm, { hsmId: id }, b.ctx)
  const now = await rowOf(id)
  assert.deepEqual([now.hostId, now.listenIp], ['host-c1', tampered.listenIp])
})

test('an HSM of a lost host can be deleted; its host removes it when it is back', async () => {
  const { lost } = await pair()
  await lose('host-c1')
  await silentFor(lost.id, 5)
  await b.database.read.hsms.changeState(lost.id, { from: 'DEGRADED', to: 'DELETE_IN_PROGRESS' })
  await untilFinished(deleteHsm, { hsmId: lost.id }, b.ctx)
  assert.equal((await rowOf(lost.id)).state, 'DELETED')
  b.world.returnHost('host-c1')
  assert.equal(b.world.hsms.has(lost.id), false)
})
