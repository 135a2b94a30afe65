/** `STRONGROOM_WRITE_PLANS=1 npm test -- state/cluster-page.test.ts` writes the plans beside the statements anew. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { AccountId } from '../provider-schema/ids.ts'
import { freshDatabase, type FreshDatabase } from '../test/support/database.ts'
import { CHANGES_SINCE } from './cluster-changes.ts'
import { CLUSTERS, THEIR_HSMS, versionsStatement, type ClusterQuery } from './cluster-page.ts'
import { openDatabase, type Database } from './database.ts'

const ACCOUNT = '000000000000' as AccountId
const PLANS = fileURLToPath(new URL('./cluster-page.plans.md', import.meta.url))

let fresh: FreshDatabase
let database: Database
before(async () => {
  fresh = await freshDatabase()
  database = openDatabase({ url: fresh.url })
  // 10,000 clusters of two HSMs, a third of the HSMs gone; half of the clusters of another account.
  await database.pool.query(`
    insert into clusters (id, account, hsm_type, mode, network_type, state, subnet_mapping, vpc_id, security_group,
      retention_days, created_at)
    select 'cluster-' || lpad(n::text, 11, 'a'), lpad((n % 2)::text, 12, '0'), 'hsm2m.medium', 'FIPS', 'IPV4',
      (array['ACTIVE', 'ACTIVE', 'ACTIVE', 'INITIALIZED', 'DELETED'])[1 + n % 5], '{}', 'vpc-' || n % 500, 'sg-1', 90, now()
    from generate_series(1, 10000) n;
    insert into hsms (id, cluster_id, account, hsm_type, availability_zone, subnet_id, eni_id, eni_ip, listen_ip, state,
      created_at, deleted_at)
    select 'hsm-' || lpad(n::text, 11, 'a'), 'cluster-' || lpad((1 + n / 3)::text, 11, 'a'), lpad((n % 2)::text, 12, '0'),
      'hsm2m.medium', 'us-east-1a', 'subnet-1', 'eni-' || n, '10.' || n, '127.' || n,
      case when n % 3 = 0 then 'DELETED' else 'ACTIVE' end, now(), case when n % 3 = 0 then now() end
    from generate_series(3, 29999) n;
    analyze`)
})
after(async () => {
  await database.close()
  await fresh.drop()
})

const common = { account: ACCOUNT, limit: 26 }
const QUERIES: Readonly<Record<string, ClusterQuery>> = {
  'the first page': { ...common, exceptDeleted: true },
  'a page after another': { ...common, exceptDeleted: true, after: 'cluster-aaaaaaa5000' },
  'clusters by id': { ...common, ids: ['cluster-aaaaaaa5000'], goneSince: new Date(0) },
  'clusters of a VPC': { ...common, exceptDeleted: true, vpcIds: ['vpc-8'] },
  'clusters in a state': { ...common, states: ['INITIALIZED'], exceptDeleted: true },
  'all of it': {
    ...common,
    after: 'cluster-a',
    ids: ['cluster-aaaaaaa5000'],
    vpcIds: ['vpc-1'],
    states: ['ACTIVE'],
    goneSince: new Date(0),
  },
}

const statements = [
  ...Object.entries(QUERIES).map(([what, query]) => ({ what: `versions of ${what}`, ...versionsStatement(query) })),
  { what: 'question whether anything changed', name: 'cluster_changes_since', text: CHANGES_SINCE },
  { what: 'rows of clusters', name: 'clusters_of', text: CLUSTERS },
  { what: 'rows of their HSMs', name: 'clusters_of_hsms', text: THEIR_HSMS },
]

const plans: string[] = []
for (const { what, name, text } of statements) {
  test(`no table is read as a whole for the ${what}, with 10,000 clusters stored`, async () => {
    // The plan for whatever values, as the connections for hot statements use it.
    const plan = await explained(`explain (generic_plan, costs off) ${text}`)
    plans.push(`## ${what}\n\n\`${name}\`\n\n\`\`\`\n${plan}\n\`\`\`\n`)
    assert.doesNotMatch(plan, /Seq Scan/)
    assert.match(plan, /Index/)
  })
}

async function explained(text: string): Promise<string> {
  const { rows } = await database.hot.query<[string]>({ text, rowMode: 'array' })
  return rows.map(([line]) => line).join('\n')
}

after(async () => {
  if (process.env['STRONGROOM_WRITE_PLANS'] !== '1') return
  const head = '# Plans of the statements in cluster-page.ts\n\nWith 10,000 clusters of two HSMs stored.\n'
  await writeFile(PLANS, [head, ...plans].join('\n'))
})
