import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import type { RecordStore } from '../vault/record-store.ts'
import { MOST_CLIENTS, SeenClients } from './seen-clients.ts'

const log = pino({ enabled: false })
const HOUR = 3_600_000
const DAY = 24 * HOUR

/** A clock that stands still, and a store that counts what is written. */
function world() {
  const { local } = new MemoryStore('hsm-1')
  const at = { now: 1_000 * DAY, writes: 0, full: false }
  const counted: RecordStore['local'] = {
    get: (name) => local.get(name),
    put: (name, value) => {
      at.writes += 1
      return at.full ? Promise.reject(new Error('the disk is full')) : local.put(name, value)
    },
  }
  return { at, start: () => new SeenClients(counted, log, () => at.now) }
}

test('what was seen is remembered across a restart, with its last time, for 14 days', async () => {
  const { at, start } = world()
  const before = start()
  await before.note('strongroom-sdk/0.1.0')
  at.now += 2 * HOUR
  await before.note('cloudhsm-cli/0.1.0')
  await before.note('strongroom-sdk/0.1.0')
  const after = start()
  assert.deepEqual(after.list(), before.list())
  assert.deepEqual(
    after.list().map(({ client, seenAt }) => [client, seenAt]),
    [
      ['cloudhsm-cli/0.1.0', at.now],
      ['strongroom-sdk/0.1.0', at.now],
    ],
  )
  at.now += 14 * DAY
  assert.deepEqual(after.list(), [])
})

test('a client that logs in all the time is written once an hour', async () => {
  const { at, start } = world()
  const seen = start()
  for (let minute = 0; minute < 120; minute++) {
    await seen.note('strongroom-sdk/0.1.0')
    at.now += 60_000
  }
  assert.equal(at.writes, 2)
})

test('the number of names is bounded: the one seen longest ago is forgotten', async () => {
  const { at, start } = world()
  const seen = start()
  for (let n = 0; n < MOST_CLIENTS + 5; n++) {
    at.now += 1
    await seen.note(`app-${n}/1`)
  }
  assert.equal(seen.list().length, MOST_CLIENTS)
  assert.equal(seen.list()[0]?.client, 'app-5/1')
  assert.equal(start().list().length, MOST_CLIENTS)
})

test('a name cannot carry more than a name', async () => {
  const seen = world().start()
  await seen.note(`evil\n\u001b[31m${'x'.repeat(200)}`)
  const [first] = seen.list()
  assert.match(first?.client ?? '', /^evil___31mx{54}$/)
})

test('a full disk keeps nobody out; it is written once there is room', async () => {
  const { at, start } = world()
  const seen = start()
  at.full = true
  await seen.note('strongroom-sdk/0.1.0')
  assert.equal(seen.list().length, 1)
  at.full = false
  await seen.note('strongroom-sdk/0.1.0')
  assert.equal(start().list().length, 1)
})
