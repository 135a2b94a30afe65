import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ClusterId } from '../../provider-schema/ids.ts'
import { HSM_TYPES } from '../../provider-schema/limits.ts'
import { modifyCluster } from '../../provider-schema/operations/modify-cluster.ts'
import { CLUSTER_STATES } from '../../provider-schema/states.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { backupRow, clusterIn, hsmIn, jobKeys, refused, setClusterState } from '../testing/fixtures.ts'
import { modifyHsmType } from './modify-hsm-type.ts'

let api: TestApi
before(async () => {
  api = await testApi({
    offeredHsmTypes: HSM_TYPES,
    limits: { clustersPerAccount: 100, hsmsPerAccount: 200, hsmsPerCluster: 28 },
  })
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const HSM1 = { HsmType: 'hsm1.medium' }
const HSM2 = { HsmType: 'hsm2m.medium' }

async function hsm1Cluster(hsms: number): Promise<ClusterId> {
  const id = await clusterIn(api, 'ACTIVE', HSM1)
  for (let n = 0; n < hsms; n++) await hsmIn(api, id, 'ACTIVE')
  await api.database.pool.query(`update hsms set hsm_type = 'hsm1.medium' where cluster_id = $1`, [id])
  return id
}

async function change(ClusterId: ClusterId, input: object) {
  return modifyCluster.output.parse(await api.ask('ModifyCluster', { ClusterId, ...input })).Cluster
}

/** As the job leaves it. */
async function migrated(hsms: number): Promise<ClusterId> {
  const id = await hsm1Cluster(hsms)
  await change(id, HSM2)
  await setClusterState(api, id, 'ACTIVE')
  return id
}

test('a change begins: the target type, the state, the end of the 24 hours, and a job', async () => {
  const id = await hsm1Cluster(2)
  const before = api.ports.clock().getTime() / 1000
  const cluster = await change(id, HSM2)
  const start = (cluster.HsmTypeRollbackExpiration ?? 0) - 86_400
  assert.ok(start >= before && start <= api.ports.clock().getTime() / 1000)
  assert.equal(cluster.State, 'MODIFY_IN_PROGRESS')
  assert.equal(cluster.HsmType, 'hsm2m.medium')
  assert.deepEqual(
    cluster.Hsms.map((hsm) => hsm.HsmType),
    ['hsm1.medium', 'hsm1.medium'],
  )
  assert.ok((await jobKeys(api)).includes(`migrate-hsm-type:${id}`))
  assert.deepEqual(await api.ask('DescribeClusters', { Filters: { clusterIds: [id] } }), { Clusters: [cluster] })
})

test('a cluster that was never migrated shows no end of the 24 hours', async () => {
  const id = await hsm1Cluster(0)
  const { Clusters } = (await api.ask('DescribeClusters', { Filters: { clusterIds: [id] } })) as { Clusters: [object] }
  assert.equal('HsmTypeRollbackExpiration' in Clusters[0], false)
})

/** As the operation does it, at a moment of the test's choice. */
const rollBackAt = (id: ClusterId, now: Date) =>
  api.database.transaction(async (tx) => {
    const cluster = await tx.clusters.lock(id)
    assert.ok(cluster)
    return modifyHsmType({ tx, now }, cluster, 'hsm1.medium')
  })

test('is taken back within 24 hours of its start by the service clock, and not later', async () => {
  const id = await migrated(1)
  const until = (await api.database.read.clusters.find(id))?.hsmTypeRollbackExpiration
  assert.ok(until)
  await assert.rejects(rollBackAt(id, until), /could be taken back until .*, 24 hours after its start/)
  const cluster = await rollBackAt(id, new Date(until.getTime() - 1))
  assert.deepEqual([cluster.state, cluster.hsmType], ['ROLLBACK_IN_PROGRESS', 'hsm1.medium'])
  assert.ok((await jobKeys(api)).includes(`roll-back-hsm-type:${id}`))
})

test('a cluster without HSMs changes its type at once, and back', async () => {
  const id = await hsm1Cluster(0)
  const BackupId = await backupRow(api, id, { hsmType: 'hsm1.medium' })
  const there = await change(id, HSM2)
  assert.deepEqual([there.State, there.HsmType], ['ACTIVE', 'hsm2m.medium'])
  assert.equal((await api.database.read.clusters.find(id))?.migration?.preMigrationBackup, BackupId)
  const back = await change(id, HSM1)
  assert.deepEqual([back.State, back.HsmType, back.HsmTypeRollbackExpiration], ['ACTIVE', 'hsm1.medium', undefined])
})

test('27 HSMs can be swapped, 28 cannot', async () => {
  const most = await hsm1Cluster(27)
  const toomany = await hsm1Cluster(28)
  await refused(api, 'ModifyCluster', { ClusterId: toomany, ...HSM2 }, INVALID, /has 28 HSMs: .* at most 27/)
  assert.equal((await change(most, HSM2)).State, 'MODIFY_IN_PROGRESS')
})

for (const state of CLUSTER_STATES) {
  if (state === 'ACTIVE' || state === 'DELETED') continue
  test(`a cluster that is ${state} keeps its type`, async () => {
    const ClusterId = await clusterIn(api, state, HSM1)
    const rule = new RegExp(`is ${state}: its HSM type can be changed only while it is ACTIVE`)
    await refused(api, 'ModifyCluster', { ClusterId, ...HSM2 }, INVALID, rule)
  })
}

for (const [state, how] of [
  ['CREATE_IN_PROGRESS', 'added to'],
  ['DELETE_IN_PROGRESS', 'removed from'],
] as const) {
  test(`an HSM that is ${state} keeps the type from being changed or taken back`, async () => {
    const [ClusterId, there] = [await hsm1Cluster(1), await migrated(1)]
    await hsmIn(api, ClusterId, state)
    await hsmIn(api, there, state)
    await refused(api, 'ModifyCluster', { ClusterId, ...HSM2 }, INVALID, new RegExp(`is being ${how} the cluster`))
    await refused(api, 'ModifyCluster', { ClusterId: there, ...HSM1 }, INVALID, new RegExp(`is being ${how}`))
  })
}

test('an HSM that is DEGRADED keeps the type from being changed, but not from being taken back', async () => {
  const [ClusterId, there] = [await hsm1Cluster(1), await migrated(1)]
  await hsmIn(api, ClusterId, 'DEGRADED')
  await hsmIn(api, there, 'DEGRADED')
  await refused(api, 'ModifyCluster', { ClusterId, ...HSM2 }, INVALID, /is DEGRADED: all HSMs must be ACTIVE/)
  assert.equal((await change(there, HSM1)).State, 'ROLLBACK_IN_PROGRESS')
})

test('only hsm1.medium becomes hsm2m.medium: no other type, not the same, not back without a change', async () => {
  const ClusterId = await hsm1Cluster(0)
  await refused(
    api,
    'ModifyCluster',
    { ClusterId, HsmType: 'hsm3.large' },
    INVALID,
    /^Provided HsmType is not supported\.$/,
  )
  await refused(api, 'ModifyCluster', { ClusterId, ...HSM1 }, INVALID, /are hsm1\.medium already/)
  const never = await clusterIn(api, 'ACTIVE', HSM2)
  await refused(api, 'ModifyCluster', { ClusterId: never, ...HSM1 }, INVALID, /has no change to take back/)
})

test('while it changes no HSM is created or deleted', async () => {
  for (const state of ['MODIFY_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS'] as const) {
    const ClusterId = await hsm1Cluster(1)
    const [hsm] = await api.database.read.hsms.ofCluster(ClusterId)
    await setClusterState(api, ClusterId, state)
    const create = { ClusterId, AvailabilityZone: 'us-east-1a' }
    await refused(api, 'CreateHsm', create, INVALID, new RegExp(`is ${state}: an HSM cannot be created now`))
    await refused(api, 'DeleteHsm', { ClusterId, HsmId: hsm?.id }, INVALID, new RegExp(`is ${state}: an HSM cannot be`))
  }
})
