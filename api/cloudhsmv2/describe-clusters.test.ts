import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { describeClusters } from '../../provider-schema/operations/describe-clusters.ts'
import type { ClusterId } from '../../provider-schema/ids.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { clusterIn, hsmIn, refused, setClusterState } from '../testing/fixtures.ts'

let api: TestApi
const MANY = { limits: { clustersPerAccount: 100, hsmsPerAccount: 100, hsmsPerCluster: 28 } }
before(async () => {
  api = await testApi(MANY)
})
after(() => api.close())

const INVALID = 'CloudHsmInvalidRequestException'
const describe = async (input: object = {}) => describeClusters.output.parse(await api.ask('DescribeClusters', input))
const one = async (id: ClusterId) => {
  const { Clusters } = await describe({ Filters: { clusterIds: [id] } })
  const [found] = Clusters
  assert.ok(found)
  assert.equal(Clusters.length, 1)
  return found
}

test('an empty region gives an empty list and no NextToken', async () => {
  assert.deepEqual(await describe(), { Clusters: [] })
})

test('a value that no database can hold finds nothing', async () => {
  const value = 'cluster-aaaaaaaaaa\0'
  for (const name of ['clusterIds', 'vpcIds']) {
    assert.deepEqual(await describe({ Filters: { [name]: [value] } }), { Clusters: [] }, name)
  }
  for (const name of ['clusterIds', 'backupIds', 'sourceBackupIds']) {
    assert.deepEqual(await api.ask('DescribeBackups', { Filters: { [name]: [value] } }), { Backups: [] }, name)
  }
  await refused(api, 'DescribeClusters', { Filters: { states: ['\0'] } }, INVALID, /'filters.states'/)
})

test('a cluster without HSMs has neither certificates nor StateMessage', async () => {
  const found = await one(
    await clusterIn(api, 'UNINITIALIZED', {
      TagList: [
        { Key: 'b', Value: '2' },
        { Key: 'a', Value: '' },
      ],
    }),
  )
  assert.equal(found.State, 'UNINITIALIZED')
  assert.deepEqual(found.Certificates, {})
  assert.deepEqual(found.Hsms, [])
  assert.deepEqual(found.TagList, [
    { Key: 'a', Value: '' },
    { Key: 'b', Value: '2' },
  ])
  assert.match(found.SecurityGroup ?? '', /^sg-[0-9a-f]{17}$/)
  assert.ok(!('StateMessage' in found))
})

test('certificates follow the state: the CSR while it can be signed, then the signed certificate alone', async () => {
  const id = await clusterIn(api, 'UNINITIALIZED')
  await api.database.read.clusters.update(id, {
    clusterCsr: 'csr\n',
    hsmCertificate: 'hsm\n',
    awsHardwareCertificate: 'aws\n',
    manufacturerHardwareCertificate: 'maker\n',
  })
  assert.deepEqual((await one(id)).Certificates, {}, 'no HSM is at work')
  const hsmId = await hsmIn(api, id, 'ACTIVE')
  const waiting = await one(id)
  const unsigned = {
    ClusterCsr: 'csr\n',
    HsmCertificate: 'hsm\n',
    AwsHardwareCertificate: 'aws\n',
    ManufacturerHardwareCertificate: 'maker\n',
  }
  assert.deepEqual(waiting.Certificates, unsigned)
  assert.equal(waiting.Hsms[0]?.HsmId, hsmId)
  assert.equal(waiting.Hsms[0].StateMessage, 'HSM created.')
  assert.match(waiting.Hsms[0].EniId, /^eni-/)
  await api.database.read.clusters.update(id, { clusterCertificate: 'signed\n' })
  await setClusterState(api, id, 'INITIALIZE_IN_PROGRESS')
  assert.deepEqual((await one(id)).Certificates, unsigned)
  for (const state of ['INITIALIZED', 'ACTIVE', 'DEGRADED'] as const) {
    await setClusterState(api, id, state)
    assert.deepEqual((await one(id)).Certificates, { ClusterCertificate: 'signed\n' }, state)
  }
  await setClusterState(api, id, 'DELETE_IN_PROGRESS')
  assert.deepEqual((await one(id)).Certificates, {})
})

test('a deleted HSM vanishes', async () => {
  const id = await clusterIn(api, 'ACTIVE')
  await hsmIn(api, id, 'DELETED')
  const stays = await hsmIn(api, id, 'DELETE_IN_PROGRESS')
  assert.deepEqual(
    (await one(id)).Hsms.map((hsm) => [hsm.HsmId, hsm.State]),
    [[stays, 'DELETE_IN_PROGRESS']],
  )
})

test('a deleted cluster can be asked for by id for 24 hours, and is not in the list', async () => {
  const id = await clusterIn(api, 'DELETED')
  assert.equal((await one(id)).State, 'DELETED')
  assert.ok((await describe()).Clusters.every((cluster) => cluster.ClusterId !== id))
  const byState = await describe({ Filters: { states: ['DELETED'] } })
  assert.deepEqual(
    byState.Clusters.map((cluster) => cluster.ClusterId),
    [id],
  )
  await api.database.pool.query("update clusters set deleted_at = now() - interval '25 hours' where id = $1", [id])
  assert.deepEqual(await describe({ Filters: { clusterIds: [id] } }), { Clusters: [] })
})

test('filters narrow together, values of one widen; unknown ids give an empty list', async () => {
  const a = await clusterIn(api, 'ACTIVE')
  const b = await clusterIn(api, 'INITIALIZED')
  const ids = (page: Awaited<ReturnType<typeof describe>>) => page.Clusters.map((cluster) => cluster.ClusterId)
  assert.deepEqual(ids(await describe({ Filters: { clusterIds: [a, b] } })), [a, b].toSorted())
  assert.deepEqual(ids(await describe({ Filters: { clusterIds: [a, b], states: ['ACTIVE'] } })), [a])
  const { VpcId } = await one(a)
  assert.ok(ids(await describe({ Filters: { vpcIds: [VpcId] } })).includes(b))
  for (const Filters of [{ clusterIds: ['cluster-aaaaaaaaaaa'] }, { clusterIds: ['junk'] }, { vpcIds: ['vpc-0'] }]) {
    assert.deepEqual(await describe({ Filters }), { Clusters: [] })
  }
})

test('pages follow each other in ascending order of id without a gap', async () => {
  const all = (await describe()).Clusters.map((cluster) => cluster.ClusterId)
  assert.deepEqual(all, all.toSorted())
  const seen: string[] = []
  let NextToken: string | undefined
  do {
    const page = await describe({ MaxResults: 2, NextToken })
    assert.ok(page.Clusters.length <= 2 && page.Clusters.length > 0)
    assert.ok((page.NextToken ?? '').length <= 256)
    seen.push(...page.Clusters.map((cluster) => cluster.ClusterId))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  assert.deepEqual(seen, all)
})

test('a NextToken is good for its own query and caller only', async () => {
  const { NextToken } = await describe({ MaxResults: 1 })
  assert.ok(NextToken)
  await refused(api, 'DescribeClusters', { NextToken, Filters: { states: ['ACTIVE'] } }, INVALID, /NextToken/)
  await refused(api, 'DescribeClusters', { NextToken: `${NextToken}A` }, INVALID, /NextToken/)
  await refused(api, 'DescribeClusters', { NextToken: '' }, INVALID, /NextToken/)
  const other = await api.refusal('DescribeClusters', { NextToken }, { accessKeyId: 'other', secret: 'other' })
  assert.equal(other.code, INVALID)
})

test("an account sees none of another's clusters", async () => {
  const id = await clusterIn(api, 'ACTIVE')
  const as = { accessKeyId: 'other', secret: 'other' }
  assert.deepEqual(await api.ask('DescribeClusters', {}, as), { Clusters: [] })
  assert.deepEqual(await api.ask('DescribeClusters', { Filters: { clusterIds: [id] } }, as), { Clusters: [] })
})

test('shows 25 clusters when nothing is asked, and never more', async () => {
  await api.database.pool.query(
    `insert into clusters (id, account, hsm_type, mode, network_type, state, subnet_mapping, vpc_id, security_group,
       retention_days, created_at)
     select 'cluster-zzzzzzzzz' || chr(97 + n / 26) || chr(97 + n % 26), '000000000000', 'hsm2m.medium', 'FIPS', 'IPV4',
       'ACTIVE', '{}', 'vpc-1', 'sg-1', 90, now() from generate_series(0, 29) n`,
  )
  const page = await describe()
  assert.equal(page.Clusters.length, 25)
  assert.ok(page.NextToken)
  await refused(api, 'DescribeClusters', { MaxResults: 26 }, INVALID, /'maxResults'.*less than or equal to 25/)
  await refused(api, 'DescribeClusters', { MaxResults: 0 }, INVALID, /'maxResults'.*greater than or equal to 1/)
})

test('refuses filters it does not know, without values, and states that do not exist', async () => {
  const refuse = (Filters: object, message: RegExp) => refused(api, 'DescribeClusters', { Filters }, INVALID, message)
  await refuse({ subnetIds: ['x'] }, /Unknown filter 'subnetIds'. Known: clusterIds, vpcIds, states/)
  await refuse({ states: [] }, /no value/)
  await refuse({ states: ['RUNNING'] }, /'RUNNING' at 'filters.states'.*enum value set/)
  await refuse({ 'a b': ['x'] }, /Map keys must satisfy constraint/)
  await refuse({ __proto__x: ['x'] }, /Unknown filter/)
})
