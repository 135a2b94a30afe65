import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HsmId } from '../../provider-schema/ids.ts'
import { tellHealth } from '../../state/hsm-health.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { backupRow, clusterIn, hsmIn } from '../testing/fixtures.ts'

let api: TestApi
before(async () => {
  api = await testApi()
})
after(() => api.close())

const FAMILY = /^# (HELP|TYPE) ([a-zA-Z_]+) .+$/
const SAMPLE = /^([a-zA-Z_]+)(\{(?:[a-z]+="[^"\n]*",?)*\}) (-?[0-9.e+-]+|\+Inf|NaN)$/

/** Samples as `name{labels}` → value; fails where a line is not in the text format. */
async function scrape(url = api.url): Promise<Map<string, number>> {
  // The text is kept for a second.
  await sleep(1_050)
  const response = await fetch(`${url}/_strongroom/metrics`)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  const samples = new Map<string, number>()
  const families = new Set<string>()
  for (const line of (await response.text()).split('\n')) {
    if (line === '') continue
    const [, kind, family] = FAMILY.exec(line) ?? []
    if (kind !== undefined) {
      assert.ok(!families.has(`${kind} ${family ?? ''}`), `${line} comes twice`)
      families.add(`${kind} ${family ?? ''}`)
      continue
    }
    const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? []
    assert.notEqual(name, '', line)
    assert.ok(!samples.has(name + labels), `${line} comes twice`)
    samples.set(name + labels, Number(value))
  }
  return samples
}
const IN = 'region="us-east-1"'

test('requests are counted by operation and outcome, with how long they took', async () => {
  const before = await scrape()
  await api.ask('DescribeClusters')
  await api.ask('DescribeClusters')
  await api.refusal('DescribeClusters', { MaxResults: 0 })
  await api.refusal('DescribeClusters', {}, { secret: 'wrong' })
  await api.call('NoSuchOperation')
  const samples = await scrape()
  const total = (labels: string) => {
    const name = `strongroom_api_requests_total{${labels},${IN}}`
    return (samples.get(name) ?? 0) - (before.get(name) ?? 0)
  }
  assert.equal(total('operation="DescribeClusters",outcome="ok"'), 2)
  assert.equal(total('operation="DescribeClusters",outcome="CloudHsmInvalidRequestException"'), 1)
  assert.equal(total('operation="none",outcome="InvalidSignatureException"'), 1)
  assert.equal(total('operation="none",outcome="UnknownOperationException"'), 1)
  const duration = 'strongroom_api_request_duration_seconds'
  assert.equal(samples.get(`${duration}_count{operation="DescribeClusters",${IN}}`), 3)
  assert.equal(samples.get(`${duration}_bucket{le="+Inf",operation="DescribeClusters",${IN}}`), 3)
  assert.ok((samples.get(`${duration}_sum{operation="DescribeClusters",${IN}}`) ?? 0) > 0)
})

test('clusters, HSMs, backups and jobs are told by state, with the ages of backups and jobs', async () => {
  const id = await clusterIn(api, 'ACTIVE')
  await hsmIn(api, id, 'DEGRADED')
  await hsmIn(api, id, 'DELETED')
  await backupRow(api, id, { createdAt: new Date(Date.now() - 7_200_000) })
  await backupRow(api, id, { createdAt: new Date(Date.now() - 3_600_000) })
  const samples = await scrape()
  assert.equal(samples.get(`strongroom_clusters{state="ACTIVE",${IN}}`), 1)
  assert.equal(samples.get(`strongroom_clusters{state="DELETE_IN_PROGRESS",${IN}}`), 0)
  assert.equal(samples.get(`strongroom_hsms{state="DEGRADED",${IN}}`), 1)
  assert.equal(samples.get(`strongroom_hsms{state="DELETED",${IN}}`), undefined)
  assert.equal(samples.get(`strongroom_backups{state="READY",${IN}}`), 2)
  const age = (which: string) => samples.get(`strongroom_backup_age_seconds{state="READY",which="${which}",${IN}}`) ?? 0
  assert.ok(age('newest') >= 3_600 && age('newest') < 7_000)
  assert.ok(age('oldest') >= 7_200)
  assert.equal(samples.get(`strongroom_jobs{task="create-cluster",state="waiting",${IN}}`), 1)
  assert.ok((samples.get(`strongroom_job_oldest_seconds{task="create-cluster",state="waiting",${IN}}`) ?? 0) > 0)
  assert.equal(samples.get(`strongroom_jobs{task="launch-hsm",state="failed",${IN}}`), 0)
  assert.ok(samples.has(`strongroom_event_loop_lag_seconds{quantile="0.99",${IN}}`))
  assert.equal(samples.get(`strongroom_database_up{${IN}}`), 1)
})

test("HSMs are told under CloudWatch's names, as they last said of themselves", async () => {
  const id = await clusterIn(api, 'ACTIVE')
  const [well, silent, unasked] = [
    await hsmIn(api, id, 'ACTIVE'),
    await hsmIn(api, id, 'ACTIVE'),
    await hsmIn(api, id, 'CREATE_IN_PROGRESS'),
  ]
  const numbers = { keys: 12, sessionKeys: 2, users: 4, sessions: 3 }
  const zero = { keys: 0, sessionKeys: 0, users: 0, sessions: 0 }
  await tellHealth(api.database.sql, [{ hsmId: well, answers: true, ...numbers }])
  await tellHealth(api.database.sql, [{ hsmId: silent, answers: true, ...numbers }])
  await tellHealth(api.database.sql, [{ hsmId: silent, answers: false, ...zero }])
  const samples = await scrape()
  const of = (name: string, hsm: HsmId) => samples.get(`${name}{cluster="${id}",hsm="${hsm}",${IN}}`)
  for (const [hsm, unhealthy] of [
    [well, 0],
    [silent, 1],
  ] as const) {
    assert.equal(of('HsmUnhealthy', hsm), unhealthy)
    assert.equal(of('HsmKeysTokenOccupied', hsm), 10)
    assert.equal(of('HsmKeysSessionOccupied', hsm), 2)
    assert.equal(of('HsmSessionCount', hsm), 3)
    assert.equal(of('HsmUsersAvailable', hsm), 1_020)
  }
  assert.equal(of('HsmUnhealthy', unasked), undefined)
})

test('only who is on this machine may read them, and not who comes through a proxy on it', async () => {
  const proxied = await fetch(`${api.url}/_strongroom/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
  assert.equal(proxied.status, 403)
  assert.equal((await fetch(`${api.url}/_strongroom/metrics`, { method: 'POST' })).status, 405)
})

test('they can be opened to anyone, or closed', async () => {
  for (const [metrics, status] of [
    ['anyone', 200],
    ['off', 403],
  ] as const) {
    const other = await testApi({ metrics })
    const headers = metrics === 'anyone' ? { 'x-forwarded-for': '203.0.113.9' } : {}
    assert.equal((await fetch(`${other.url}/_strongroom/metrics`, { headers })).status, status)
    await other.close()
  }
})

test('without the database they tell what this process knows, and that it is away', async () => {
  await api.database.pool.query('alter table backups rename to elsewhere')
  try {
    const samples = await scrape()
    assert.equal(samples.get(`strongroom_database_up{${IN}}`), 0)
    assert.ok([...samples.keys()].some((name) => name.startsWith('strongroom_api_requests_total')))
  } finally {
    await api.database.pool.query('alter table elsewhere rename to backups')
  }
})
