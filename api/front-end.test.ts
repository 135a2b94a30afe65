import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { LIMITS } from '../provider-schema/limits.ts'
import { OPERATIONS } from '../provider-schema/operations.ts'
import { openDatabase } from '../state/database.ts'
import { freshDatabase } from '../test/support/database.ts'
import { HANDLERS } from './cloudhsmv2/handlers.ts'
import { testApi, type TestApi } from './testing/api.ts'
import { refused, SUBNETS } from './testing/fixtures.ts'
import { signed } from './testing/signer.ts'

let api: TestApi
before(async () => {
  api = await testApi()
})
after(() => api.close())

const SERIALIZATION = 'SerializationException'

test('every answer has a request id, and nothing that a browser could use', async () => {
  for (const reply of [await api.call('DescribeClusters'), await api.call('DescribeClusters', { MaxResults: 'x' })]) {
    assert.match(reply.headers.get('x-amzn-requestid') ?? '', /^[0-9a-f-]{36}$/)
    assert.equal(reply.headers.get('content-type'), 'application/x-amz-json-1.1')
    assert.equal(reply.headers.get('x-powered-by'), null)
    assert.equal(reply.headers.get('etag'), null)
    assert.equal(reply.headers.get('cache-control'), 'no-store')
    assert.equal(reply.headers.get('x-content-type-options'), 'nosniff')
  }
})

test('an operation that does not exist is unknown', async () => {
  for (const target of [
    'BaldrApiService.Explode',
    'BaldrApiService.',
    'Other.DescribeClusters',
    'BaldrApiService.toString',
  ]) {
    await refusedAs({ headers: { 'x-amz-target': target } }, 'UnknownOperationException')
  }
})

async function refusedAs(as: Parameters<TestApi['call']>[2], code: string): Promise<unknown> {
  const before = await api.rows()
  const refusal = await api.refusal('DescribeClusters', {}, as)
  assert.equal(refusal.code, code, String(refusal.message))
  assert.equal(await api.rows(), before)
  return refusal.message
}

test('every operation of the service answers', () => {
  assert.deepEqual(Object.keys(OPERATIONS).toSorted(), [...HANDLERS.keys()].toSorted())
})

test('a body that is not a JSON object cannot be read', async () => {
  for (const body of ['{', '[]', '"x"', 'null', '{"a":1}}', Buffer.from([0x7b, 0xff, 0x7d]), '['.repeat(200_000)]) {
    const message = await refusedAs({ body }, SERIALIZATION)
    assert.match(String(message), /^The request body (is not JSON|must be a JSON object)\.$/)
  }
})

test('an empty body stands for an empty object, null for a member that is left out, and unknown members are ignored', async () => {
  assert.equal((await api.call('DescribeClusters', {}, { body: '' })).status, 200)
  assert.equal((await api.call('DescribeClusters', { Filters: null, MaxResults: null, Extra: [[1]] })).status, 200)
})

test('a value of the wrong JSON type is a serialization error, whatever else is wrong', async () => {
  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ['CreateCluster', { HsmType: 5, SubnetIds: SUBNETS }, /^'hsmType' must be a string\.$/],
    ['CreateCluster', { HsmType: '!', SubnetIds: SUBNETS[0] }, /^'subnetIds' must be a list\.$/],
    ['CreateCluster', { HsmType: '!', SubnetIds: [1] }, /^'subnetIds\.1\.member' must be a string\.$/],
    ['CreateCluster', { HsmType: '!', SubnetIds: SUBNETS, Mode: 7 }, /^'mode' must be a string\.$/],
    [
      'CreateCluster',
      { HsmType: '!', SubnetIds: SUBNETS, TagList: ['a'] },
      /^'tagList\.1\.member' must be an object\.$/,
    ],
    ['DescribeClusters', { Filters: [] }, /^'filters' must be an object of lists\.$/],
    ['DescribeClusters', { Filters: { states: 'ACTIVE' } }, /^'filters\.states' must be a list\.$/],
    ['DescribeClusters', { MaxResults: '5' }, /^'maxResults' must be a number\.$/],
    ['DescribeClusters', { MaxResults: 1.5 }, /^'maxResults' must be a whole number\.$/],
    ['DescribeBackups', { SortAscending: 'yes' }, /^'sortAscending' must be true or false\.$/],
  ]
  for (const [operation, input, message] of wrong) await refused(api, operation, input, SERIALIZATION, message)
})

test('thousands of breaches are counted, and few spelt out', async () => {
  const Filters = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`not a name ${i}`, []]))
  const { message } = await api.refusal('DescribeClusters', { Filters })
  assert.match(String(message), /^\d{5} validation errors detected: /)
  assert.ok(String(message).length < 4_000)
})

test('a body over 1 MiB is refused unread, announced or not, and the connection closed', async () => {
  const large = 'x'.repeat(LIMITS.requestBody + 1)
  const reply = await api.call('DescribeClusters', {}, { body: large })
  assert.equal(reply.status, 413)
  assert.equal(reply.body['__type'], 'RequestEntityTooLargeException')
  assert.equal(reply.headers.get('connection'), 'close')
  const exact = await api.call('DescribeClusters', {}, { body: `{"a":"${'x'.repeat(LIMITS.requestBody - 8)}"}` })
  assert.equal(exact.status, 200)
  const { hostname, port, host } = new URL(api.url)
  const headers = signed({ host, headers: { 'x-amz-target': 'BaldrApiService.DescribeClusters' }, body: '' })
  const socket = connect(Number(port), hostname)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`POST / HTTP/1.1\r\n${lines.join('')}transfer-encoding: chunked\r\n\r\n`)
  socket.write(`${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'close')
  assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 413 /)
})

test('a sender that goes away in the middle of its body leaves nothing behind', async () => {
  const before = await api.rows()
  const { hostname, port, host } = new URL(api.url)
  const headers = signed({ host, headers: { 'x-amz-target': 'BaldrApiService.CreateCluster' }, body: '' })
  const socket = connect(Number(port), hostname)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`POST / HTTP/1.1\r\n${lines.join('')}content-length: 100\r\n\r\n{"HsmType"`)
  await new Promise((resolve) => setTimeout(resolve, 100))
  socket.destroy()
  for (let i = 0; i < 100 && !api.log.join('').includes('"outcome":"gone"'); i++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.ok(api.log.join('').includes('"outcome":"gone"'))
  assert.equal(await api.rows(), before)
})

test('every request is one log line: who, what, how it ended, how long; never what was in it', async () => {
  const from = api.log.length
  const reply = await api.call('CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: ['not-a-subnet'] })
  assert.equal(api.log.length, from + 1)
  const line = JSON.parse(api.log[from] ?? '') as Record<string, unknown>
  assert.equal(line['requestId'], reply.headers.get('x-amzn-requestid'))
  assert.equal(line['operation'], 'CreateCluster')
  assert.equal(line['account'], '000000000000')
  assert.equal(line['outcome'], 'CloudHsmInvalidRequestException')
  assert.equal(typeof line['ms'], 'number')
  assert.ok(!api.log[from]?.includes('not-a-subnet'))
})

test('paths and methods that are not served say so', async () => {
  const ask = async (path: string, method: string) => {
    const response = await fetch(`${api.url}${path}`, { method })
    return [response.status, response.headers.get('allow'), response.headers.get('content-type')]
  }
  const json = 'application/json; charset=utf-8'
  assert.deepEqual(await ask('/', 'GET'), [405, 'POST', json])
  assert.deepEqual(await ask('/', 'DELETE'), [405, 'POST', json])
  assert.deepEqual(await ask('/_strongroom/ready', 'POST'), [405, 'GET, HEAD', json])
  assert.deepEqual(await ask('/elsewhere', 'POST'), [404, null, json])
  assert.deepEqual(await ask('/%E0%A4%A', 'GET'), [404, null, json])
})

test('a database that cannot be reached is a 503 that clients repeat, soon, and says nothing internal', async () => {
  const nowhere = openDatabase({ url: 'postgres://strongroom:secret@127.0.0.1:1/none' })
  const lost = await testApi({ database: nowhere })
  try {
    for (const operation of ['DescribeClusters', 'CreateCluster']) {
      const began = performance.now()
      const reply = await lost.call(operation, { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS })
      assert.ok(performance.now() - began < 5_000)
      assert.equal(reply.status, 503)
      assert.deepEqual(reply.body, {
        __type: 'ServiceUnavailableException',
        Message: 'The service is temporarily unavailable. Please try again.',
      })
    }
    assert.ok(lost.log.join('').includes('ECONNREFUSED'), 'the log knows why')
    assert.ok(!lost.log.join('').includes('secret'))
  } finally {
    await lost.close()
  }
})

test('a transaction that waits too long is refused within five seconds, and does not happen afterwards', async () => {
  const blocker = await api.database.pool.connect()
  try {
    await blocker.query('begin')
    await blocker.query('lock table clusters in access exclusive mode')
    const began = performance.now()
    const reply = await api.call('CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS })
    assert.ok(performance.now() - began < 6_000)
    assert.equal(reply.status, 503)
  } finally {
    await blocker.query('rollback')
    blocker.release()
  }
  // The abandoned transaction ends on its own; whatever it held is free then.
  await api.database.transaction((tx) => tx.accounts.lock('000000000000' as Parameters<typeof tx.accounts.lock>[0]))
  assert.deepEqual(await api.ask('DescribeClusters'), { Clusters: [] })
})

test('a failure of ours is a 500 in the words that Terraform repeats a request for; the cause is in the log alone', async () => {
  const broken = await testApi({ addresses: { choose: () => Promise.reject(new Error('pool is on fire')) } })
  try {
    const input = { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS }
    const { Cluster } = (await broken.ask('CreateCluster', input)) as { Cluster: { ClusterId: string } }
    await broken.database.pool.query("update clusters set state = 'ACTIVE'")
    const before = await broken.rows()
    const reply = await broken.call('CreateHsm', { ClusterId: Cluster.ClusterId, AvailabilityZone: 'us-east-1a' })
    assert.equal(reply.status, 500)
    assert.equal(reply.body['__type'], 'CloudHsmInternalFailureException')
    assert.match(String(reply.body['Message']), /request was rejected because of an AWS CloudHSM internal failure/)
    assert.ok(!reply.text.includes('fire'))
    assert.ok(broken.log.join('').includes('pool is on fire'))
    assert.equal(await broken.rows(), before)
  } finally {
    await broken.close()
  }
})

test('health: it lives always, and is ready when the database is reachable and migrated and the rest is well', async () => {
  const health = async (url: string, path: string) => {
    const response = await fetch(`${url}/_strongroom/${path}`)
    return { status: response.status, body: await response.json() }
  }
  assert.deepEqual(await health(api.url, 'live'), { status: 200, body: { live: true } })
  const ready = { region: 'us-east-1', ready: true, checks: { database: 'ok' } }
  assert.deepEqual(await health(api.url, 'ready'), { status: 200, body: ready })

  const fresh = await freshDatabase()
  const bare = openDatabase({ url: fresh.url })
  await bare.pool.query('drop table clusters cascade')
  const unready = await testApi({
    database: bare,
    ready: () => Promise.resolve({ ready: true, checks: { jobs: 'ok' } }),
  })
  try {
    const body = {
      region: 'us-east-1',
      ready: false,
      checks: { database: 'not reachable or not migrated', jobs: 'ok' },
    }
    assert.deepEqual(await health(unready.url, 'ready'), { status: 503, body })
    assert.equal((await health(unready.url, 'live')).status, 200)
  } finally {
    await unready.close()
    await fresh.drop()
  }
})
