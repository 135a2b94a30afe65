import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { activeCluster, bench, simulated, type Bench } from './testing/fixtures.ts'
import { watch } from './watch.ts'

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())

test('an HSM that ends after the time of day was set back by an hour is noticed all the same', async (t) => {
  const { hsm } = await activeCluster(b, ['key'])
  const stop = new AbortController()
  const watching = watch({ ...b.ctx, signal: stop.signal })
  try {
    await sleep(500)
    const now = Date.now
    t.mock.method(Date, 'now', () => now() - 3_600_000)
    simulated(b, hsm.id).running = false
    const state = async () => (await b.database.read.hsms.find(hsm.id))?.state
    for (const end = performance.now() + 15_000; (await state()) === 'ACTIVE' && performance.now() < end;) {
      await sleep(100)
    }
    assert.notEqual(await state(), 'ACTIVE')
  } finally {
    stop.abort()
    await watching
  }
})
