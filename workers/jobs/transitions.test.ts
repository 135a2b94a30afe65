import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { eq } from 'drizzle-orm'
import { backups, clusters, copies, hsms } from '../../migrations/schema.ts'
import { copyBackup } from './copy-backup.ts'
import { createCluster } from './create-cluster.ts'
import { deleteCluster } from './delete-cluster.ts'
import { deleteHsm } from './delete-hsm.ts'
import { initializeCluster } from './initialize-cluster.ts'
import { launchHsm } from './launch-hsm.ts'
import {
  activeCluster,
  bench,
  insertCluster,
  insertCopy,
  insertHsm,
  simulated,
  type Bench,
} from './testing/fixtures.ts'
import { readyBackup } from './testing/ready-backup.ts'
import { TRIALS, untilFinished } from './testing/trials.ts'

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())

const clusterNow = async (id: string) =>
  one(
    await b.database.sql
      .select()
      .from(clusters)
      .where(eq(clusters.id, id as never)),
  )
const hsmNow = async (id: string) =>
  one(
    await b.database.sql
      .select()
      .from(hsms)
      .where(eq(hsms.id, id as never)),
  )
const backupsOf = (clusterId: string) =>
  b.database.sql
    .select()
    .from(backups)
    .where(eq(backups.clusterId, clusterId as never))

function one<Row>(rows: readonly Row[]): Row {
  const [row] = rows
  assert.ok(row)
  return row
}

for (const trial of TRIALS) {
  describe(trial.name, () => {
    test('a new cluster becomes UNINITIALIZED', async () => {
      const cluster = await insertCluster(b)
      await trial.run(createCluster, { clusterId: cluster.id }, b.ctx)
      const now = await clusterNow(cluster.id)
      assert.equal(now.state, 'UNINITIALIZED')
      assert.equal(now.step, null)
      assert.equal(now.deadline, null)
    })

    test('a cluster from a backup becomes ACTIVE and shows the certificate of the source', async () => {
      const { backup } = await readyBackup(b, ['key'])
      const cluster = await insertCluster(b, { sourceBackupId: backup.id })
      await trial.run(createCluster, { clusterId: cluster.id }, b.ctx)
      const now = await clusterNow(cluster.id)
      assert.equal(now.state, 'ACTIVE')
      assert.equal(now.clusterCertificate, 'certificate\n')
    })

    test('the first HSM founds its cluster and publishes CSR and certificates', async () => {
      const cluster = await insertCluster(b, { state: 'UNINITIALIZED' })
      const hsm = await insertHsm(b, cluster)
      await trial.run(launchHsm, { hsmId: hsm.id }, b.ctx)
      const now = await hsmNow(hsm.id)
      assert.equal(now.state, 'ACTIVE')
      assert.equal(now.stateMessage, 'HSM created.')
      assert.equal(now.member, true)
      const its = await clusterNow(cluster.id)
      assert.equal(its.clusterCsr, `csr of ${hsm.id}\n`)
      assert.equal(its.awsHardwareCertificate, `aws ${hsm.id}\n`)
      assert.equal(its.membershipEpoch, 1)
      assert.equal(simulated(b, hsm.id).phase, 'founded')
    })

    test('an HSM added to an active cluster joins with all its content, after one backup', async () => {
      const { cluster, hsm: first } = await activeCluster(b, ['alice', 'key'])
      const second = await insertHsm(b, cluster)
      await trial.run(launchHsm, { hsmId: second.id }, b.ctx)
      assert.equal((await hsmNow(second.id)).state, 'ACTIVE')
      assert.deepEqual([...simulated(b, second.id).content], ['alice', 'key'])
      const taken = await backupsOf(cluster.id)
      assert.deepEqual(
        taken.map((backup) => backup.state),
        ['READY'],
      )
      assert.deepEqual(
        simulated(b, first.id)
          .membership?.members.map((member) => member.hsmId)
          .toSorted(),
        [first.id, second.id].toSorted(),
      )
    })

    test('the first HSM of a cluster that lives in a backup restores it', async () => {
      const { backup } = await readyBackup(b, ['alice', 'key'])
      const cluster = await insertCluster(b, { state: 'ACTIVE', sourceBackupId: backup.id })
      const hsm = await insertHsm(b, cluster)
      await trial.run(launchHsm, { hsmId: hsm.id }, b.ctx)
      assert.equal((await hsmNow(hsm.id)).state, 'ACTIVE')
      assert.deepEqual([...simulated(b, hsm.id).content], ['alice', 'key'])
      assert.equal((await clusterNow(cluster.id)).clusterCertificate, 'restored certificate\n')
    })

    test('initialising installs the certificate and shows nothing else afterwards', async () => {
      const cluster = await insertCluster(b, {
        state: 'INITIALIZE_IN_PROGRESS',
        clusterCsr: 'csr\n',
        clusterCertificate: 'certificate\n',
        trustAnchor: 'anchor\n',
      })
      const hsm = await insertHsm(b, cluster, { state: 'ACTIVE', member: true })
      await b.world.ports.hosts.on('host-1').ensureRunning(hsm)
      simulated(b, hsm.id).certified = true
      simulated(b, hsm.id).phase = 'founded'
      await trial.run(initializeCluster, { clusterId: cluster.id }, b.ctx)
      const now = await clusterNow(cluster.id)
      assert.equal(now.state, 'INITIALIZED')
      assert.equal(now.clusterCsr, null)
      assert.equal(now.clusterCertificate, 'certificate\n')
      assert.equal(simulated(b, hsm.id).phase, 'initialized')
    })

    test('an HSM removed from an active cluster leaves one backup, no process and no membership', async () => {
      const { cluster, hsm } = await activeCluster(b, ['alice', 'key'])
      const leaving = await b.database.read.hsms.changeState(hsm.id, { from: 'ACTIVE', to: 'DELETE_IN_PROGRESS' })
      assert.ok(leaving)
      await trial.run(deleteHsm, { hsmId: hsm.id }, b.ctx)
      const now = await hsmNow(hsm.id)
      assert.equal(now.state, 'DELETED')
      assert.equal(now.member, false)
      assert.equal(b.world.hsms.has(hsm.id), false)
      const [backup, ...more] = await backupsOf(cluster.id)
      assert.deepEqual(more, [])
      assert.equal(backup?.state, 'READY')
      assert.equal(b.world.store.get(backup.id)?.toString(), '["alice","key"]')
    })

    test('a deleted cluster is DELETED, without certificates and tags', async () => {
      const cluster = await insertCluster(b, {
        state: 'DELETE_IN_PROGRESS',
        clusterCertificate: 'x',
        tags: { Owner: 'me' },
      })
      await trial.run(deleteCluster, { clusterId: cluster.id }, b.ctx)
      const now = await clusterNow(cluster.id)
      assert.equal(now.state, 'DELETED')
      assert.equal(now.clusterCertificate, null)
      assert.deepEqual(now.tags, {})
      assert.ok(now.deletedAt)
    })

    test('a backup is stored as it was sealed, once', async () => {
      const { backup, hsm } = await readyBackup(b, ['key'], (...args) => trial.run(...args))
      assert.equal(backup.state, 'READY')
      assert.equal(b.world.store.get(backup.id)?.toString(), '["key"]')
      assert.equal(backup.size, 7)
      assert.equal(simulated(b, hsm.id).sealed.size, 0)
    })

    test('a copy arrives in the other region once, whole', async () => {
      const { backup } = await readyBackup(b, ['key'])
      const copy = await insertCopy(b, backup.id)
      await trial.run(copyBackup, { copyId: copy.id }, b.ctx)
      const now = one(await b.database.sql.select().from(copies).where(eq(copies.id, copy.id)))
      const arrived = b.world.copies.get(copy.id)
      assert.equal(now.state, 'DONE')
      assert.equal(arrived?.state, 'READY')
      assert.equal(now.destinationBackup, arrived.backupId)
      assert.equal(arrived.bytes.toString(), '["key"]')
      assert.equal(arrived.announcement.clusterCertificate, 'certificate\n')
    })
  })
}

describe('when it cannot be done', () => {
  test('a cluster from a damaged backup becomes DEGRADED and says so', async () => {
    const { backup } = await readyBackup(b, ['key'])
    b.world.store.set(backup.id, Buffer.from('tampered'))
    const cluster = await insertCluster(b, { sourceBackupId: backup.id })
    await untilFinished(createCluster, { clusterId: cluster.id }, b.ctx)
    const now = await clusterNow(cluster.id)
    assert.equal(now.state, 'DEGRADED')
    assert.match(now.stateMessage ?? '', /is damaged/)
  })

  test('an HSM that a backup damaged since its check is to fill becomes DEGRADED, at once and empty', async () => {
    const { backup } = await readyBackup(b, ['alice', 'key'])
    const cluster = await insertCluster(b, { sourceBackupId: backup.id })
    await untilFinished(createCluster, { clusterId: cluster.id }, b.ctx)
    assert.equal((await clusterNow(cluster.id)).state, 'ACTIVE')
    b.world.store.set(backup.id, Buffer.from('tampered'))
    const hsm = await insertHsm(b, cluster)
    await untilFinished(launchHsm, { hsmId: hsm.id }, b.ctx)
    const now = await hsmNow(hsm.id)
    assert.equal(now.state, 'DEGRADED')
    assert.equal(
      now.stateMessage,
      'HSM creation failed. Please delete this HSM and try again. ' +
        `${backup.id} cannot be restored: the seal does not fit`,
    )
    assert.equal(now.member, false)
    assert.equal(simulated(b, hsm.id).phase, 'blank')
    assert.deepEqual([...simulated(b, hsm.id).content], [])
  })

  test('an HSM that a backup lost since its check is to fill becomes DEGRADED, at once, and says which is missing', async () => {
    const { backup } = await readyBackup(b, ['key'])
    const cluster = await insertCluster(b, { state: 'ACTIVE', sourceBackupId: backup.id })
    b.world.store.delete(backup.id)
    const hsm = await insertHsm(b, cluster)
    await untilFinished(launchHsm, { hsmId: hsm.id }, b.ctx)
    const now = await hsmNow(hsm.id)
    assert.equal(now.state, 'DEGRADED')
    assert.ok(now.stateMessage?.endsWith(`The content of ${backup.id} is missing.`), now.stateMessage ?? '')
  })

  test('an HSM that is not up by its deadline becomes DEGRADED, is no member, and says why', async () => {
    const { cluster, hsm: first } = await activeCluster(b, ['key'])
    const second = await insertHsm(b, cluster, { availabilityZone: 'us-east-1f' })
    await b.database.sql
      .update(hsms)
      .set({ deadline: new Date(Date.now() + 700) })
      .where(eq(hsms.id, second.id))
    await untilFinished(launchHsm, { hsmId: second.id }, b.ctx)
    const now = await hsmNow(second.id)
    assert.equal(now.state, 'DEGRADED')
    assert.match(
      now.stateMessage ?? '',
      /^HSM creation failed\. Please delete this HSM and try again\. No host in us-east-1f/,
    )
    assert.equal(now.member, false)
    assert.deepEqual(
      simulated(b, first.id).membership?.members.map((member) => member.hsmId),
      [first.id],
    )
  })

  test('a certificate that the HSM refuses takes the cluster back to UNINITIALIZED', async () => {
    const cluster = await insertCluster(b, {
      state: 'INITIALIZE_IN_PROGRESS',
      clusterCsr: 'csr\n',
      clusterCertificate: 'bad',
      trustAnchor: 'anchor\n',
    })
    const hsm = await insertHsm(b, cluster, { state: 'ACTIVE', member: true })
    await b.world.ports.hosts.on('host-1').ensureRunning(hsm)
    simulated(b, hsm.id).certified = true
    await untilFinished(initializeCluster, { clusterId: cluster.id }, b.ctx)
    const now = await clusterNow(cluster.id)
    assert.equal(now.state, 'UNINITIALIZED')
    assert.equal(now.clusterCsr, 'csr\n')
    assert.equal(now.clusterCertificate, null)
    assert.match(now.stateMessage ?? '', /refused the certificate/)
  })

  test('an HSM whose backup fails until the deadline stays, serves again, and says so', async () => {
    const { hsm } = await activeCluster(b, ['key'])
    await b.database.read.hsms.changeState(hsm.id, { from: 'ACTIVE', to: 'DELETE_IN_PROGRESS' })
    await b.database.sql
      .update(hsms)
      .set({ deadline: new Date(Date.now() + 1_000) })
      .where(eq(hsms.id, hsm.id))
    b.world.failNext('put', 1_000)
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 5_000)
    await untilFinished(deleteHsm, { hsmId: hsm.id }, { ...b.ctx, signal: stop.signal })
    b.world.failNext('put', 0)
    const now = await hsmNow(hsm.id)
    assert.equal(now.state, 'DEGRADED')
    assert.match(now.stateMessage ?? '', /nothing was destroyed/)
    assert.equal(simulated(b, hsm.id).draining, false)
    assert.deepEqual([...simulated(b, hsm.id).content], ['key'])
  })

  test('two HSMs added at once both join, and the list of members is one', async () => {
    const { cluster, hsm: first } = await activeCluster(b, ['key'])
    const second = await insertHsm(b, cluster)
    const third = await insertHsm(b, cluster)
    await Promise.all([second, third].map((hsm) => untilFinished(launchHsm, { hsmId: hsm.id }, b.ctx)))
    for (const hsm of [first, second, third]) assert.deepEqual([...simulated(b, hsm.id).content], ['key'])
    assert.equal(simulated(b, first.id).membership?.members.length, 3)
    assert.equal((await clusterNow(cluster.id)).membershipEpoch, 3)
  })
})
