import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { modifyCluster } from '../../provider-schema/operations/modify-cluster.ts'
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
const AT_REST = ['UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED'] as const
const days = (Value: string) => ({ BackupRetentionPolicy: { Type: 'DAYS', Value } })

for (const state of AT_REST) {
  test(`the retention of a cluster that is ${state} changes at once, and no job is needed`, async () => {
    const ClusterId = await clusterIn(api, state, { TagList: [{ Key: 'Owner', Value: 'me' }] })
    const HsmId = await hsmIn(api, ClusterId, 'ACTIVE')
    const before = await jobKeys(api)
    const { Cluster } = modifyCluster.output.parse(await api.ask('ModifyCluster', { ClusterId, ...days('7') }))
    assert.equal(Cluster.State, state)
    assert.deepEqual(Cluster.BackupRetentionPolicy, { Type: 'DAYS', Value: '7' })
    assert.deepEqual(
      Cluster.Hsms.map((hsm) => hsm.HsmId),
      [HsmId],
    )
    assert.deepEqual(Cluster.TagList, [{ Key: 'Owner', Value: 'me' }])
    assert.deepEqual(await api.ask('DescribeClusters', { Filters: { clusterIds: [ClusterId] } }), {
      Clusters: [Cluster],
    })
    assert.deepEqual(await jobKeys(api), before)
    assert.ok((await trail(api)).includes(`ModifyCluster ${ClusterId} arn:aws:iam::000000000000:user/test`))
  })
}

test('takes 7 to 379 days and nothing else', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  for (const value of ['7', '379', '007']) await api.ask('ModifyCluster', { ClusterId, ...days(value) })
  for (const value of ['0', '6', '380', '999']) {
    await refused(api, 'ModifyCluster', { ClusterId, ...days(value) }, INVALID, /between 7 and 379 days/)
  }
  await refused(api, 'ModifyCluster', { ClusterId, ...days('1000') }, INVALID, /failed to satisfy constraint/)
  await refused(api, 'ModifyCluster', { ClusterId, ...days('-7') }, INVALID, /failed to satisfy constraint/)
  const policy = { BackupRetentionPolicy: { Type: 'DAYS' } }
  await refused(api, 'ModifyCluster', { ClusterId, ...policy }, INVALID, /needs a Value/)
})

test('takes one change at a time, and at least one', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const one = /^Exactly one of HsmType and BackupRetentionPolicy must be given\.$/
  await refused(api, 'ModifyCluster', { ClusterId }, INVALID, one)
  await refused(api, 'ModifyCluster', { ClusterId, HsmType: 'hsm2m.medium', ...days('9') }, INVALID, one)
})

test('leaves a cluster alone that something else changes', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  for (const state of CLUSTER_STATES) {
    if (state === 'DELETED' || AT_REST.some((each) => each === state)) continue
    await setClusterState(api, ClusterId, state)
    await refused(api, 'ModifyCluster', { ClusterId, ...days('9') }, INVALID, new RegExp(`is ${state}: it cannot be`))
  }
})

test('a cluster that is unknown or deleted is not found', async () => {
  await refused(api, 'ModifyCluster', { ClusterId: 'cluster-aaaaaaaaaaa', ...days('9') }, MISSING, /not found/)
  await refused(
    api,
    'ModifyCluster',
    { ClusterId: await clusterIn(api, 'DELETED'), ...days('9') },
    MISSING,
    /not found/,
  )
})
