import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import { createCluster } from '../../provider-schema/operations/create-cluster.ts'
import { createHsm } from '../../provider-schema/operations/create-hsm.ts'
import { describeClusters } from '../../provider-schema/operations/describe-clusters.ts'
import type { SubnetId, VpcId } from '../../provider-schema/ids.ts'
import { CLUSTER_STATES } from '../../provider-schema/states.ts'
import { OTHER_ACCOUNT, testApi, type TestApi } from '../testing/api.ts'
import { clusterIn, hsmIn, jobKeys, refused, setClusterState, SUBNETS, trail } from '../testing/fixtures.ts'

let api: TestApi
before(async () => {
  api = await testApi({ limits: { clustersPerAccount: 100, hsmsPerAccount: 100, hsmsPerCluster: 28 } })
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const ZONE = 'us-east-1a'
const createClusters = z.array(createCluster.output)

test('the first HSM shows its network interface from the answer on', async () => {
  const ClusterId = await clusterIn(api, 'UNINITIALIZED')
  const { Hsm } = createHsm.output.parse(await api.ask('CreateHsm', { ClusterId, AvailabilityZone: ZONE }))
  assert.match(Hsm.HsmId, /^hsm-[a-z2-7]{11}$/)
  assert.match(Hsm.EniId, /^eni-[0-9a-f]{17}$/)
  assert.match(Hsm.EniIp, /^127\.77\.0\.\d+$/)
  const { HsmId, EniId, EniIp, ...rest } = Hsm
  assert.deepEqual(rest, {
    AvailabilityZone: ZONE,
    ClusterId,
    SubnetId: SUBNETS[0],
    HsmType: 'hsm2m.medium',
    State: 'CREATE_IN_PROGRESS',
  })
  assert.ok(EniId && EniIp)
  assert.ok((await jobKeys(api)).includes(`launch-hsm:${HsmId}`))
  assert.ok((await trail(api)).includes(`CreateHsm ${HsmId} arn:aws:iam::000000000000:user/test`))
})

test('a second HSM before activation is refused in the words of the real service', async () => {
  const ClusterId = await clusterIn(api, 'UNINITIALIZED')
  const hsm = { ClusterId, AvailabilityZone: 'us-east-1b' }
  const message = new RegExp(`^Cluster '${ClusterId}' already contains an HSM but has not yet been fully activated$`)
  await hsmIn(api, ClusterId, 'ACTIVE')
  await refused(api, 'CreateHsm', hsm, INVALID, message)
  await setClusterState(api, ClusterId, 'INITIALIZED')
  await refused(api, 'CreateHsm', hsm, INVALID, message)
})

test('only states in which an HSM can join accept one', async () => {
  const ClusterId = await clusterIn(api, 'UNINITIALIZED')
  const hsm = { ClusterId, AvailabilityZone: ZONE }
  for (const state of CLUSTER_STATES) {
    await setClusterState(api, ClusterId, state)
    if (state === 'DELETED') {
      await refused(api, 'CreateHsm', hsm, 'CloudHsmResourceNotFoundException', /not found/)
    } else if (!['UNINITIALIZED', 'ACTIVE', 'DEGRADED'].includes(state)) {
      await refused(api, 'CreateHsm', hsm, INVALID, state === 'INITIALIZED' ? /lost its only HSM/ : new RegExp(state))
    }
  }
  for (const state of ['ACTIVE', 'DEGRADED'] as const) {
    await setClusterState(api, ClusterId, state)
    await api.ask('CreateHsm', hsm)
  }
})

test('refuses a zone the cluster has no subnet in', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const hsm = { ClusterId, AvailabilityZone: 'us-east-1c' }
  await refused(api, 'CreateHsm', hsm, INVALID, /no subnet in us-east-1c. It has: us-east-1a, us-east-1b/)
  await refused(api, 'CreateHsm', { ...hsm, AvailabilityZone: 'nowhere' }, INVALID, /'availabilityZone' failed/)
})

test('an address that was asked for is shown; when the HSM listens elsewhere, StateMessage says so', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const input = { ClusterId, AvailabilityZone: ZONE, IpAddress: '10.0.0.5' }
  const { Hsm } = createHsm.output.parse(await api.ask('CreateHsm', input))
  assert.equal(Hsm.EniIp, '10.0.0.5')
  assert.match(Hsm.StateMessage ?? '', /^It listens on 127\.77\.0\./)
  await refused(api, 'CreateHsm', input, INVALID, /10\.0\.0\.5 is in use/)
})

test('refuses an address that no HSM can have', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  for (const IpAddress of ['10.0.0.256', '0.0.0.0', '224.0.0.1', '255.255.255.255']) {
    const input = { ClusterId, AvailabilityZone: ZONE, IpAddress }
    await refused(api, 'CreateHsm', input, INVALID, /not an IPv4 address that an HSM can have/)
  }
  await refused(
    api,
    'CreateHsm',
    { ClusterId, AvailabilityZone: ZONE, IpAddress: '::1' },
    INVALID,
    /'ipAddress' failed/,
  )
})

test('an address must lie in its subnet where the prefix is known', async () => {
  const subnet = { zone: ZONE, vpcId: 'vpc-1' as VpcId, cidr: '10.1.2.0/24' }
  const known = await testApi({ configuredSubnets: new Map([['subnet-cccccccc1' as SubnetId, subnet]]) })
  try {
    const ClusterId = await clusterIn(known, 'ACTIVE', { SubnetIds: ['subnet-cccccccc1'] })
    const input = { ClusterId, AvailabilityZone: ZONE, IpAddress: '10.1.3.1' }
    await refused(known, 'CreateHsm', input, INVALID, /not in subnet-cccccccc1 \(10\.1\.2\.0\/24\)/)
    await known.ask('CreateHsm', { ...input, IpAddress: '10.1.2.1' })
  } finally {
    await known.close()
  }
})

test('two that take the same address at once: one asks again and gets another', async () => {
  const addresses = ['127.78.0.1', '127.78.0.1', '127.78.0.2']
  let asked = 0
  const crowded = await testApi({
    addresses: {
      choose: () => {
        const listenIp = addresses[asked++] ?? ''
        return Promise.resolve({ eniIp: listenIp, listenIp })
      },
    },
  })
  try {
    const ClusterId = await clusterIn(crowded, 'ACTIVE')
    const both = await Promise.all([1, 2].map(() => crowded.ask('CreateHsm', { ClusterId, AvailabilityZone: ZONE })))
    assert.equal(new Set(both.map((answer) => createHsm.output.parse(answer).Hsm.EniIp)).size, 2)
    assert.equal(asked, 3)
  } finally {
    await crowded.close()
  }
})

test('quotas hold: per account, and per cluster', async () => {
  const few = await testApi({ limits: { clustersPerAccount: 4, hsmsPerAccount: 2, hsmsPerCluster: 1 } })
  try {
    const first = await clusterIn(few, 'ACTIVE')
    const second = await clusterIn(few, 'ACTIVE')
    await few.ask('CreateHsm', { ClusterId: first, AvailabilityZone: ZONE })
    const again = { ClusterId: first, AvailabilityZone: ZONE }
    await refused(few, 'CreateHsm', again, INVALID, /most HSMs that a cluster can have: 1/)
    await few.ask('CreateHsm', { ClusterId: second, AvailabilityZone: ZONE })
    const third = await clusterIn(few, 'ACTIVE')
    const more = { ClusterId: third, AvailabilityZone: ZONE }
    await refused(few, 'CreateHsm', more, INVALID, /most HSMs that it may have in this region: 2/)
  } finally {
    await few.close()
  }
})

test('of many first HSMs asked for at once, one is made', async () => {
  const ClusterId = await clusterIn(api, 'UNINITIALIZED')
  const replies = await Promise.all(
    Array.from({ length: 5 }, () => api.call('CreateHsm', { ClusterId, AvailabilityZone: ZONE })),
  )
  assert.equal(replies.filter((reply) => reply.status === 200).length, 1)
})

test('an unknown cluster, or that of another account, is not found', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE')
  const missing = { ClusterId: 'cluster-aaaaaaaaaaa', AvailabilityZone: ZONE }
  await refused(api, 'CreateHsm', missing, 'CloudHsmResourceNotFoundException', /cluster-aaaaaaaaaaa was not found/)
  const hsm = { ClusterId, AvailabilityZone: ZONE }
  const other = await api.refusal('CreateHsm', hsm, { accessKeyId: 'other', secret: 'other' })
  assert.equal(other.code, 'CloudHsmResourceNotFoundException')
})

test('an HSM of a DUALSTACK cluster shows an IPv6 address from the answer on, of the same network as its neighbours', async () => {
  const ClusterId = await clusterIn(api, 'ACTIVE', { NetworkType: 'DUALSTACK' })
  const make = async (AvailabilityZone: string) =>
    createHsm.output.parse(await api.ask('CreateHsm', { ClusterId, AvailabilityZone })).Hsm
  const made = [await make(ZONE), await make(ZONE), await make('us-east-1b')]
  const addresses = made.map((hsm) => hsm.EniIpV6 ?? '')
  for (const address of addresses) {
    assert.ok(isIPv6(address), address)
    assert.match(address, /^fd/)
  }
  const network = (address: string | undefined) => address?.split(':').slice(0, 4).join(':')
  assert.equal(network(addresses[0]), network(addresses[1]))
  assert.notEqual(network(addresses[0]), network(addresses[2]))
  assert.equal(new Set(addresses).size, 3)
  const { Clusters } = describeClusters.output.parse(
    await api.ask('DescribeClusters', { Filters: { clusterIds: [ClusterId] } }),
  )
  assert.deepEqual(
    Clusters[0]?.Hsms.map((hsm) => hsm.EniIpV6),
    addresses,
  )
})

test('an account may have quotas of its own, more or less than the others', async () => {
  const limits = {
    ...{ clustersPerAccount: 1, hsmsPerAccount: 1, hsmsPerCluster: 28 },
    accounts: { [OTHER_ACCOUNT]: { clustersPerAccount: 2, hsmsPerAccount: 2 } },
  }
  const few = await testApi({ limits })
  try {
    for (const [as, allowed] of [
      [{}, 1],
      [{ accessKeyId: 'other', secret: 'other' }, 2],
    ] as const) {
      const SubnetIds = [`subnet-0a0a0a0${allowed}`]
      const create = () => few.call('CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds }, as)
      const made = await Promise.all(Array.from({ length: 4 }, create))
      assert.equal(made.filter((reply) => reply.status === 200).length, allowed)
      await few.database.pool.query("update clusters set state = 'ACTIVE'")
      const [cluster] = createClusters.parse(made.map((reply) => reply.body).filter((body) => 'Cluster' in body))
      const ClusterId = cluster?.Cluster.ClusterId
      const add = () => few.call('CreateHsm', { ClusterId, AvailabilityZone: ZONE }, as)
      const added = await Promise.all(Array.from({ length: 4 }, add))
      assert.equal(added.filter((reply) => reply.status === 200).length, allowed)
    }
  } finally {
    await few.close()
  }
})
