import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Secret } from '../identity/secret.ts'
import { testApi, type TestApi } from '../testing/api.ts'

const HOUR_MS = 3_600_000
const KEY = 'the key of the operator'

let ahead = 0
let rehearsing: TestApi
let serving: TestApi
before(async () => {
  const clock = () => new Date(Date.now() + ahead)
  rehearsing = await testApi({
    clock,
    operator: {
      key: new Secret(KEY),
      advanceClock: (ms) => {
        if (ahead + ms > 100 * HOUR_MS) return Promise.resolve(false)
        ahead += ms
        return Promise.resolve(true)
      },
    },
  })
  serving = await testApi({ clock, operator: { key: new Secret(KEY) } })
})
after(() => Promise.all([rehearsing.close(), serving.close()]))

async function ask(api: TestApi, body?: unknown, key: string | undefined = KEY) {
  const response = await fetch(`${api.url}/_strongroom/clock`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', ...(key !== '' && { authorization: `Bearer ${key}` }) },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

test('the clock is shown, and moved where that is allowed', async () => {
  assert.equal((await ask(rehearsing)).body['aheadSeconds'], 0)
  const { status, body } = await ask(rehearsing, { advanceSeconds: 3600 })
  assert.deepEqual([status, body['aheadSeconds'], body['rehearsal']], [200, 3600, true])
  assert.ok(Math.abs(Date.parse(String(body['now'])) - Date.now() - HOUR_MS) < 60_000)
})

test('a region that does not rehearse shows its clock and leaves it alone', async () => {
  const before = ahead
  assert.equal((await ask(serving)).body['rehearsal'], false)
  const { status, body } = await ask(serving, { advanceSeconds: 1 })
  assert.equal(status, 403)
  assert.match(String(body['message']), /not started with --rehearsal/)
  assert.equal(ahead, before)
})

test('nothing is shown or moved without the key of the operator', async () => {
  const before = ahead
  for (const key of ['', 'another key', `${KEY}x`]) {
    assert.equal((await ask(rehearsing, undefined, key)).status, 401)
    assert.equal((await ask(rehearsing, { advanceSeconds: 1 }, key)).status, 401)
  }
  assert.equal(ahead, before)
})

test('it only goes forward, by whole seconds, and not too far', async () => {
  const before = ahead
  const wrong = [{}, { advanceSeconds: 0 }, { advanceSeconds: -1 }, { advanceSeconds: 1.5 }, { advanceSeconds: '1' }]
  for (const body of [...wrong, { advanceSeconds: 1e9 }, { advanceSeconds: 1, more: 1 }, [], '{', 'x'.repeat(2000)]) {
    assert.equal((await ask(rehearsing, body)).status, 400, JSON.stringify(body))
  }
  const far = await ask(rehearsing, { advanceSeconds: 100 * 3600 })
  assert.equal(far.status, 400)
  assert.match(String(far.body['message']), /a hundred years/)
  assert.equal(ahead, before)
})

test('timestamps follow the service clock; signatures do not', async () => {
  ahead = 50 * HOUR_MS
  const { Cluster } = (await rehearsing.ask('CreateCluster', {
    HsmType: 'hsm2m.medium',
    SubnetIds: ['subnet-0a0a0a0a'],
  })) as { Cluster: { CreateTimestamp: number } }
  assert.ok(Math.abs(Cluster.CreateTimestamp * 1000 - Date.now() - ahead) < 60_000)
})
