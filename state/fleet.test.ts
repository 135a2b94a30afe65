import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { activeCluster, bench, type Bench } from '../workers/jobs/testing/fixtures.ts'
import { claimForFleet } from './fleet.ts'

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())

test('a database is of the fleet that came first, until nothing is left of that', async () => {
  const claim = (root: string) => claimForFleet(b.database.sql, root)
  assert.deepEqual([await claim('aa'), await claim('aa'), await claim('bb')], [true, true, true])
  await activeCluster(b, ['key'])
  assert.deepEqual([await claim('aa'), await claim('bb')], [false, true])
  await b.database.pool.query("update clusters set state = 'DELETED'")
  await b.database.pool.query("insert into job_workers (id, worker_ids, heartbeat_at) values ('w', '[]', now())")
  assert.equal(await claim('aa'), false)
  await b.database.pool.query("update job_workers set heartbeat_at = now() - interval '11 seconds'")
  assert.equal(await claim('aa'), true)
})
