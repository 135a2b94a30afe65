import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deleteCluster } from '../../provider-schema/operations/delete-cluster.ts'
import { CLUSTER_STATES } from '../../provider-schema/states.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { clusterIn, hsmIn, jobKeys, refused, setClusterState, trail } from '../testing/fixtures.ts'

let api: TestApi
before(async () => {
  api = await testApi({ limits: { clustersPerAccount: 100, hsmsPerAccount: 100, hsmsPerCluster: 28 } })
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const DELETABLE = ['UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED'] as const

for (const state of DELETABLE) {
  test(`deletes a cluster without HSMs that is ${state}`, async () => {
    const ClusterId = await clusterIn(api, state, { TagList: [{ Key: 'a', Value: 'b' }] })
    const { Cluster } = deleteCluster.output.parse(await api.ask('DeleteCluster', { ClusterId }))
    assert.equal(Cluster.State, 'DELETE_IN_PROGRESS')
    assert.equal(Cluster.StateMessage, 'The cluster is being deleted.')
    assert.deepEqual([Cluster.Hsms, Cluster.Certificates, Cluster.TagList], [[], {}, undefined])
    assert.ok((await jobKeys(api)).includes(`delete-cluster:${ClusterId}`))
    assert.ok((await trail(api)).includes(`DeleteCluster ${ClusterId} arn:aws:iam::000000000000:user/test`))
  })
}

test('keeps a cluster while any HSM is listed, also one that is on its way out', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const id = await hsmIn(api, ClusterId, 'DELETE_IN_PROGRESS')
  await refused(api, 'DeleteCluster', { ClusterId }, INVALID, new RegExp(`still has HSMs: ${id}`))
})

test('keeps a cluster that is being changed', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  for (const state of CLUSTER_STATES) {
    if (state === 'DELETED' || DELETABLE.some((each) => each === state)) continue
    await setClusterState(api, ClusterId, state)
    await refused(api, 'DeleteCluster', { ClusterId }, INVALID, new RegExp(`is ${state}: it cannot be deleted now`))
  }
})

test('a cluster that is unknown or deleted is not found', async () => {
  const missing = 'CloudHsmResourceNotFoundException'
  await refused(api, 'DeleteCluster', { ClusterId: 'cluster-aaaaaaaaaaa' }, missing, /not found/)
  await refused(api, 'DeleteCluster', { ClusterId: await clusterIn(api, 'DELETED') }, missing, /not found/)
  await refused(api, 'DeleteCluster', { ClusterId: 'junk' }, INVALID, /'clusterId' failed to satisfy constraint/)
})
