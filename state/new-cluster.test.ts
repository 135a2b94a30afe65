/** `STRONGROOM_WRITE_PLANS=1 npm test -- state/new-cluster.test.ts` writes the plans beside the statements anew. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  newBackupId,
  newClusterId,
  newSecurityGroupId,
  newVpcId,
  type AccountId,
  type SubnetId,
} from '../provider-schema/ids.ts'
import { jobs } from '../provider-schema/jobs.ts'
import { freshDatabase, type FreshDatabase } from '../test/support/database.ts'
import { openDatabase, type Database } from './database.ts'
import { INSERT_CLUSTER, insertCluster, type Creation, type NewCluster } from './new-cluster.ts'
import { KNOWN_SUBNETS } from './subnets.ts'

const ACCOUNT = '000000000000' as AccountId
const PLANS = fileURLToPath(new URL('./new-cluster.plans.md', import.meta.url))

let fresh: FreshDatabase
let database: Database
before(async () => {
  fresh = await freshDatabase()
  database = openDatabase({ url: fresh.url })
  // Statistics of a time when nobody had a subnet and one account had all the clusters.
  await database.pool.query(`
    insert into clusters (id, account, hsm_type, mode, network_type, state, subnet_mapping, vpc_id, security_group,
      retention_days, created_at)
    select 'cluster-' || lpad(n::text, 11, 'a'), '999999999999', 'hsm2m.medium', 'FIPS', 'IPV4',
      (array['ACTIVE', 'DELETED'])[1 + n % 2], '{}', 'vpc-1', 'sg-1', 90, now()
    from generate_series(1, 10000) n;
    insert into backups (id, account, cluster_id, hsm_type, mode, state, created_at)
    select 'backup-' || lpad(n::text, 11, 'a'), '999999999999', 'cluster-' || lpad(n::text, 11, 'a'), 'hsm2m.medium', 'FIPS',
      'READY', now()
    from generate_series(1, 10000) n;
    analyze`)
})
after(async () => {
  await database.close()
  await fresh.drop()
})

function newCluster(differing: Partial<NewCluster> = {}): NewCluster {
  return {
    id: newClusterId(),
    account: ACCOUNT,
    hsmType: 'hsm2m.medium',
    mode: 'FIPS',
    networkType: 'IPV4',
    state: 'CREATE_IN_PROGRESS',
    stateMessage: null,
    subnetMapping: {},
    vpcId: newVpcId(),
    securityGroup: newSecurityGroupId(),
    retentionDays: 90,
    sourceBackupId: null,
    clusterCsr: null,
    hsmCertificate: null,
    awsHardwareCertificate: null,
    manufacturerHardwareCertificate: null,
    clusterCertificate: null,
    trustAnchor: null,
    tags: { a: 'ü "quoted"' },
    createdAt: new Date(1_700_000_000_123),
    hsmTypeRollbackExpiration: null,
    ...differing,
  }
}

function creation(cluster: NewCluster, differing: Partial<Creation> = {}): Creation {
  const event = {
    at: new Date(),
    requestId: 'request-1',
    account: cluster.account,
    principal: 'arn:aws:iam::000000000000:user/test',
    operation: 'CreateCluster',
    resource: cluster.id,
    resources: [cluster.id],
    sourceIp: '127.0.0.1',
    event: '{"eventName":"CreateCluster"}',
  }
  const origin = { requestId: 'request-1' }
  return { cluster, most: 100, subnets: [], event, origin, until: performance.now() + 4_000, ...differing }
}

async function written(cluster: NewCluster) {
  const { rows } = await database.pool.query<{ clusters: number; jobs: number; events: number }>(
    `select (select count(*)::int from clusters where id = $1) as clusters,
       (select count(*)::int from graphile_worker.jobs where key = $2) as jobs,
       (select count(*)::int from audit where resource = $1) as events`,
    [cluster.id, jobs.createCluster.key({ clusterId: cluster.id })],
  )
  return rows[0]
}
const NOTHING = { clusters: 0, jobs: 0, events: 0 }
const serialization = { code: '40001' }

test('row, job, event and subnets are written together, as they were given', async () => {
  const cluster = newCluster()
  const subnet = { id: 'subnet-a' as SubnetId, account: ACCOUNT, availabilityZone: 'us-east-1a', cidr: null }
  const subnets = [{ ...subnet, vpcId: cluster.vpcId }]
  assert.equal(await insertCluster(database.pool, creation(cluster, { subnets })), true)
  assert.deepEqual(await written(cluster), { clusters: 1, jobs: 1, events: 1 })
  const row = await database.read.clusters.find(cluster.id)
  assert.ok(row)
  const { deadline, ...rest } = row
  assert.deepEqual({ ...rest, ...cluster }, rest)
  assert.ok(deadline && deadline > new Date())
  assert.deepEqual(await database.read.subnets.find([subnet.id]), subnets)
  await assert.rejects(insertCluster(database.pool, creation(newCluster(), { subnets })), {
    code: '23505',
    constraint: 'subnets_pkey',
  })
})

test('an account without room gets nothing', async () => {
  const cluster = newCluster({ account: '000000000001' as AccountId })
  assert.equal(await insertCluster(database.pool, creation(cluster, { most: 0 })), false)
  assert.deepEqual(await written(cluster), NOTHING)
  assert.equal(await insertCluster(database.pool, creation(cluster, { most: 1 })), true)
  const second = newCluster({ account: cluster.account })
  assert.equal(await insertCluster(database.pool, creation(second, { most: 1 })), false)
})

test('a backup that is not READY any more, and an account that got another VPC, make it decide again', async () => {
  const from = newCluster({ sourceBackupId: newBackupId() })
  await assert.rejects(insertCluster(database.pool, creation(from)), serialization)
  assert.deepEqual(await written(from), NOTHING)
  const cluster = newCluster({ account: '000000000002' as AccountId })
  const subnet = { id: 'subnet-b' as SubnetId, availabilityZone: 'us-east-1a', cidr: null }
  const subnets = [{ ...subnet, account: cluster.account, vpcId: cluster.vpcId }]
  await insertCluster(database.pool, creation(cluster, { subnets, vpcOfAccount: cluster.vpcId }))
  const other = newCluster({ account: cluster.account })
  const late = creation(other, { vpcOfAccount: other.vpcId })
  await assert.rejects(insertCluster(database.pool, late), serialization)
  assert.deepEqual(await written(other), NOTHING)
})

test('what waited for longer than its caller does not happen any more', async () => {
  const cluster = newCluster()
  let waiting: Promise<unknown> | undefined
  await database.transaction(async (tx) => {
    await tx.accounts.lock(cluster.account)
    waiting = assert.rejects(insertCluster(database.pool, creation(cluster, { until: performance.now() + 300 })), {
      code: '55P03',
    })
    await new Promise((resolve) => setTimeout(resolve, 200))
  })
  await waiting
  assert.deepEqual(await written(cluster), NOTHING)
})

test('a job is put into a long queue without reading it', async () => {
  const client = await database.pool.connect()
  const enqueue = (count: number) =>
    client.query(
      `select enqueue_job('long', '{}', 'long:' || n, 25, now() + interval '1 day') from generate_series(1, $1::int) n`,
      [count],
    )
  const readAsAWhole = async () => {
    const { rows } = await client.query<{ times: number }>(
      "select seq_scan::int as times from pg_stat_xact_all_tables where relname = '_private_jobs'",
    )
    return rows[0]?.times
  }
  try {
    await client.query('begin')
    const before = await readAsAWhole()
    await enqueue(500)
    assert.equal(await readAsAWhole(), before)
  } finally {
    await client.query('rollback')
    client.release()
  }
})

/** The questions of `room_for_cluster`, as they stand there. */
const ROOM = {
  'the source': `select from backups where id = $1 and state = 'READY' for update`,
  'the VPC of the account': `select s.vpc_id from subnets s where s.account = $1 order by s.id limit 1`,
  'the quota': `select count(*) from (
    select from clusters c where c.account = $1 and c.state <> 'DELETED' order by c.id limit $2) as present`,
}

const plans: string[] = []
for (const [what, text] of Object.entries({
  'the subnets that are named': KNOWN_SUBNETS,
  ...ROOM,
  'the cluster and what comes with it': INSERT_CLUSTER,
})) {
  test(`no table is read as a whole for ${what}, with 10,000 clusters stored`, async () => {
    // `hot` forbids it, as the function does.
    const { rows } = await database.hot.query<[string]>({
      text: `explain (generic_plan, costs off) ${text}`,
      rowMode: 'array',
    })
    const plan = rows.map(([line]) => line).join('\n')
    plans.push(`## ${what}\n\n\`\`\`\n${plan}\n\`\`\`\n`)
    assert.doesNotMatch(plan, /Seq Scan/)
  })
}

after(async () => {
  if (process.env['STRONGROOM_WRITE_PLANS'] !== '1') return
  const head =
    '# Plans of the statements that make a cluster\n\nWith 10,000 clusters of one other account stored, and as many backups.\n'
  await writeFile(PLANS, [head, ...plans].join('\n'))
})
