import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CLUSTER_STATES } from '../../provider-schema/states.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { clusterIn, hsmIn, jobKeys, refused, setClusterState, trail } from '../testing/fixtures.ts'

let api: TestApi
before(async () => {
  api = await testApi({ limits: { clustersPerAccount: 100, hsmsPerAccount: 100, hsmsPerCluster: 28 } })
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const MISSING = 'CloudHsmResourceNotFoundException'

test('an HSM can be named by its id, its interface or its address', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  for (const by of ['HsmId', 'EniId', 'EniIp'] as const) {
    const id = await hsmIn(api, ClusterId, 'ACTIVE')
    const row = await api.database.read.hsms.find(id)
    assert.ok(row)
    const name = { HsmId: row.id, EniId: row.eniId, EniIp: row.eniIp }[by]
    assert.deepEqual(await api.ask('DeleteHsm', { ClusterId, [by]: name }), { HsmId: id })
    assert.equal((await api.database.read.hsms.find(id))?.state, 'DELETE_IN_PROGRESS')
    assert.ok((await jobKeys(api)).includes(`delete-hsm:${id}`))
    assert.ok((await trail(api)).includes(`DeleteHsm ${id} arn:aws:iam::000000000000:user/test`))
  }
})

test('an HSM can be deleted while it is created or degraded, and not twice', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  for (const state of ['CREATE_IN_PROGRESS', 'DEGRADED'] as const) {
    const HsmId = await hsmIn(api, ClusterId, state)
    await api.ask('DeleteHsm', { ClusterId, HsmId })
    await refused(api, 'DeleteHsm', { ClusterId, HsmId }, INVALID, /being deleted already/)
  }
})

test('exactly one name must be given', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const HsmId = await hsmIn(api, ClusterId, 'ACTIVE')
  await refused(api, 'DeleteHsm', { ClusterId }, INVALID, /Exactly one of/)
  await refused(api, 'DeleteHsm', { ClusterId, HsmId, EniIp: '127.0.0.1' }, INVALID, /Exactly one of/)
})

test('an HSM that is not there, gone, or of another cluster is not found', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const elsewhere = await hsmIn(api, await clusterIn(api, 'ACTIVE'), 'ACTIVE')
  const gone = await hsmIn(api, ClusterId, 'DELETED')
  for (const HsmId of ['hsm-aaaaaaaaaaa', elsewhere, gone]) {
    await refused(api, 'DeleteHsm', { ClusterId, HsmId }, MISSING, new RegExp(`HSM ${HsmId} was not found`))
  }
  await refused(
    api,
    'DeleteHsm',
    { ClusterId: 'cluster-aaaaaaaaaaa', HsmId: elsewhere },
    MISSING,
    /cluster-aaaaaaaaaaa/,
  )
})

test('a cluster that is being changed keeps its HSMs', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const HsmId = await hsmIn(api, ClusterId, 'ACTIVE')
  const allows = ['UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED', 'DELETED']
  for (const state of CLUSTER_STATES.filter((each) => !allows.includes(each))) {
    await setClusterState(api, ClusterId, state)
    await refused(api, 'DeleteHsm', { ClusterId, HsmId }, INVALID, new RegExp(`is ${state}: an HSM cannot be deleted`))
  }
})

test('the CSR goes with the first HSM: the next one brings another', async () => {
  const ClusterId = await clusterIn(api, 'UNINITIALIZED')
  await api.database.read.clusters.update(ClusterId, { clusterCsr: 'csr', hsmCertificate: 'x' })
  const HsmId = await hsmIn(api, ClusterId, 'ACTIVE')
  await api.ask('DeleteHsm', { ClusterId, HsmId })
  const cluster = await api.database.read.clusters.find(ClusterId)
  assert.equal(cluster?.clusterCsr, null)
  assert.equal(cluster.hsmCertificate, null)
})
