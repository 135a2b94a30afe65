import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ClusterId } from '../../provider-schema/ids.ts'
import { CLUSTER_STATES } from '../../provider-schema/states.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { clusterIn, hsmIn, jobKeys, refused, setClusterState, trail } from '../testing/fixtures.ts'
import { workshop, type Workshop } from '../testing/openssl.ts'

let api: TestApi
let shop: Workshop
let csr: string
let SignedCert: string
let TrustAnchor: string

before(async () => {
  api = await testApi({ limits: { clustersPerAccount: 100, hsmsPerAccount: 100, hsmsPerCluster: 28 } })
  shop = await workshop()
  csr = await shop.request('cluster')
  TrustAnchor = await shop.selfSigned('customer-ca')
  SignedCert = await shop.issue('cluster', 'customer-ca')
})
after(async () => {
  await api.close()
  await shop.remove()
})

const INVALID = 'CloudHsmInvalidRequestException'

async function waiting(): Promise<ClusterId> {
  const id = await clusterIn(api, 'UNINITIALIZED')
  await hsmIn(api, id, 'ACTIVE')
  await api.database.read.clusters.update(id, { clusterCsr: csr })
  return id
}

test('answers INITIALIZE_IN_PROGRESS in the words of AWS, and keeps the certificates for the job', async () => {
  const ClusterId = await waiting()
  assert.deepEqual(await api.ask('InitializeCluster', { ClusterId, SignedCert, TrustAnchor }), {
    State: 'INITIALIZE_IN_PROGRESS',
    StateMessage: 'Cluster is initializing. State will change to INITIALIZED upon completion.',
  })
  const cluster = await api.database.read.clusters.find(ClusterId)
  assert.equal(cluster?.clusterCertificate, SignedCert)
  assert.equal(cluster.trustAnchor, TrustAnchor)
  assert.ok((await jobKeys(api)).includes(`initialize-cluster:${ClusterId}`))
  assert.ok((await trail(api)).includes(`InitializeCluster ${ClusterId} arn:aws:iam::000000000000:user/test`))
  await refused(api, 'InitializeCluster', { ClusterId, SignedCert, TrustAnchor }, INVALID, /must be UNINITIALIZED/)
})

test('a certificate that is not for the CSR, or that the anchor did not issue, changes nothing', async () => {
  const ClusterId = await waiting()
  await shop.request('stranger')
  const stranger = await shop.issue('stranger', 'customer-ca')
  const otherCa = await shop.selfSigned('other-ca')
  const initialize = (input: object, message: RegExp) =>
    refused(api, 'InitializeCluster', { ClusterId, SignedCert, TrustAnchor, ...input }, INVALID, message)
  await initialize({ SignedCert: stranger }, /not for this cluster/)
  await initialize({ TrustAnchor: otherCa }, /not issued by TrustAnchor/)
  await initialize({ SignedCert: 'junk' }, /not a certificate in PEM/)
  await initialize({ SignedCert: 'A'.repeat(20_001) }, /'signedCert'.*length less than or equal to 20000/)
  await initialize({ SignedCert: '_' }, /'signedCert'.*regular expression pattern/)
})

test('needs an ACTIVE HSM with its CSR', async () => {
  const ClusterId = await clusterIn(api, 'UNINITIALIZED')
  const input = { ClusterId, SignedCert, TrustAnchor }
  await refused(api, 'InitializeCluster', input, INVALID, /needs an ACTIVE HSM/)
  await hsmIn(api, ClusterId, 'CREATE_IN_PROGRESS')
  await api.database.read.clusters.update(ClusterId, { clusterCsr: csr })
  await refused(api, 'InitializeCluster', input, INVALID, /needs an ACTIVE HSM/)
})

test('only an UNINITIALIZED cluster can be initialized', async () => {
  const ClusterId = await waiting()
  const input = { ClusterId, SignedCert, TrustAnchor }
  for (const state of CLUSTER_STATES) {
    if (state === 'UNINITIALIZED') continue
    await setClusterState(api, ClusterId, state)
    if (state === 'DELETED') await refused(api, 'InitializeCluster', input, 'CloudHsmResourceNotFoundException', /./)
    else await refused(api, 'InitializeCluster', input, INVALID, new RegExp(`is ${state}; it must be UNINITIALIZED`))
  }
})

test('the cluster is looked up before the certificates are looked at', () =>
  refused(
    api,
    'InitializeCluster',
    { ClusterId: 'cluster-aaaaaaaaaaa', SignedCert: 'junk', TrustAnchor: 'junk' },
    'CloudHsmResourceNotFoundException',
    /cluster-aaaaaaaaaaa was not found/,
  ))
