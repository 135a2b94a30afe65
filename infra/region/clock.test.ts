import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '../../state/database.ts'
import { FURTHEST_MS } from '../../state/service-clock.ts'
import { freshDatabase } from '../../test/support/database.ts'
import { regionClock } from './clock.ts'

const DAY_MS = 24 * 3_600_000
const near = (at: Date, ms: number) => Math.abs(at.getTime() - Date.now() - ms) < 60_000

test('every process of a region sees how far the clock was moved, also after a restart', async () => {
  const fresh = await freshDatabase()
  const database = openDatabase({ url: fresh.url })
  try {
    const [api, jobs] = [regionClock(database), regionClock(database)]
    assert.throws(() => api.now(), /starting/)
    await Promise.all([api.look(), jobs.look()])
    assert.ok(near(api.now(), 0))
    assert.deepEqual(await Promise.all([api.advance(8 * DAY_MS), jobs.advance(DAY_MS)]), [true, true])
    await Promise.all([api.look(), jobs.look()])
    assert.ok(near(api.now(), 9 * DAY_MS) && near(jobs.now(), 9 * DAY_MS))
    assert.equal(await api.advance(FURTHEST_MS), false)
    const restarted = regionClock(database)
    await restarted.look()
    assert.ok(near(restarted.now(), 9 * DAY_MS))
    const { rows } = await database.pool.query<{ key: string }>('select key from graphile_worker.jobs')
    assert.deepEqual(rows, [{ key: 'housekeeping:region' }])
  } finally {
    await database.close()
    await fresh.drop()
  }
})
