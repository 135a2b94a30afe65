import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { freshDatabase, type FreshDatabase } from '../test/support/database.ts'
import { changesSince, purgeChanges } from './cluster-changes.ts'
import { openDatabase, type Database } from './database.ts'

let fresh: FreshDatabase
let database: Database
let other: Client
let since: string
before(async () => {
  fresh = await freshDatabase()
  database = openDatabase({ url: fresh.url })
  other = new Client({ connectionString: fresh.url })
  await other.connect()
})
after(async () => {
  await other.end()
  await database.close()
  await fresh.drop()
})
beforeEach(async () => {
  ;({ snapshot: since } = await changesSince(database.pool, undefined))
})

const CLUSTER = `
  insert into clusters (id, account, hsm_type, mode, network_type, state, subnet_mapping, vpc_id, security_group,
    retention_days, created_at)
  values ('cluster-' || gen_random_uuid(), '000000000000', 'hsm2m.medium', 'FIPS', 'IPV4', 'ACTIVE', '{}', 'vpc-1', 'sg-1', 90, now())`
const HSM = `
  insert into hsms (id, cluster_id, account, hsm_type, availability_zone, subnet_id, eni_id, eni_ip, listen_ip, state, created_at)
  select 'hsm-' || gen_random_uuid(), id, account, hsm_type, 'us-east-1a', 'subnet-1', 'eni-' || gen_random_uuid(),
    '10.0.0.1', '127.0.0.1', 'ACTIVE', now() from clusters limit 1`

const say = (text: string) => database.pool.query(text)
/** Asks as one who asks again and again does. */
async function changed(): Promise<boolean> {
  const found = await changesSince(database.pool, since)
  since = found.snapshot
  return found.changed
}

describe('whether a cluster or an HSM changed', () => {
  for (const [what, text] of Object.entries({
    'a new cluster': CLUSTER,
    'another state of a cluster': "update clusters set state_message = 'other'",
    'a new HSM': HSM,
    'another state of an HSM': "update hsms set state_message = 'other'",
    'an HSM that is gone': 'delete from hsms',
    'a cluster that is gone': 'delete from clusters',
    'a change with triggers switched off': `begin; set local session_replication_role = replica; ${CLUSTER}; commit`,
  })) {
    test(`is told once for ${what}`, async () => {
      assert.equal(await changed(), false)
      await say(text)
      assert.equal(await changed(), true)
      assert.equal(await changed(), false)
    })
  }

  test('is not told of what else is written, nor of what is rolled back', async () => {
    await say("insert into subnets (id, account, vpc_id, availability_zone) values ('subnet-9', '0', 'vpc-1', 'a')")
    await say(`begin; ${CLUSTER}; rollback`)
    assert.equal(await changed(), false)
  })

  test('is told when the change is committed, even when later ones were before', async () => {
    await other.query(`begin; ${CLUSTER}`)
    assert.equal(await changed(), false)
    await say(CLUSTER)
    assert.equal(await changed(), true)
    assert.equal(await changed(), false)
    await other.query('commit')
    assert.equal(await changed(), true)
    assert.equal(await changed(), false)
  })

  test('is told as yes by one who was not there before', async () => {
    assert.equal((await changesSince(database.pool, undefined)).changed, true)
  })
})

describe('what is forgotten', () => {
  const count = async () =>
    Number((await database.pool.query<{ n: string }>('select count(*) as n from cluster_changes')).rows[0]?.n)

  /** Until no transaction is under way that is older than what we did: those of other tests are on the same server. */
  const untilAlone = async () => {
    const text = 'select pg_snapshot_xmin(pg_current_snapshot()) > max(transaction) as alone from cluster_changes'
    while ((await database.pool.query<{ alone: boolean }>(text)).rows[0]?.alone !== true) await sleep(20)
  }

  test('is older than an hour, but never the newest; who asks from before hears yes', async () => {
    const long = since
    await say(CLUSTER)
    await say(CLUSTER)
    await say("update cluster_changes set at = now() - interval '2 hours'")
    await say(CLUSTER)
    await untilAlone()
    assert.equal(await changed(), true)
    await purgeChanges(database.sql)
    assert.equal(await count(), 2)
    assert.equal(await changed(), false)
    assert.equal((await changesSince(database.pool, long)).changed, true)
    await say("update cluster_changes set at = now() - interval '2 hours'")
    await purgeChanges(database.sql)
    assert.equal(await count(), 1)
    assert.equal(await changed(), false)
  })

  test('is what a restored database has of transactions to come', async () => {
    await untilAlone()
    await say("insert into cluster_changes values ('99999999999', now())")
    assert.equal(await changed(), true)
    assert.equal(await changed(), true)
    await purgeChanges(database.sql)
    assert.equal(await changed(), false)
    await say(CLUSTER)
    assert.equal(await changed(), true)
  })
})
