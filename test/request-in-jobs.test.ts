/** A request's id, and its trace, from the API through the queue into the jobs; over a real queue and a simulated world. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { testApi, type TestApi } from '../api/testing/api.ts'
import { clusterIn, setClusterState, SUBNETS } from '../api/testing/fixtures.ts'
import { startCollector, type Collector } from '../infra/telemetry/testing/collector.ts'
import { openTracing, type Tracing } from '../infra/telemetry/tracing.ts'
import type { HsmId } from '../provider-schema/ids.ts'
import type { HsmState } from '../provider-schema/states.ts'
import { simulatedWorld } from '../workers/jobs/testing/simulated-world.ts'
import { startJobWorker, type JobWorker } from '../workers/jobs/worker.ts'

const HOST = { id: 'host-1', zones: ['us-east-1a', 'us-east-1b'], capacity: 100 }
const silent = pino({ level: 'silent' })

interface Line {
  readonly msg?: string
  readonly requestId?: string
  readonly job?: string
  readonly step?: string
}
const lines: Line[] = []
const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) })

const world = simulatedWorld()
let collector: Collector
let tracing: Tracing | undefined
let api: TestApi
let worker: JobWorker
before(async () => {
  collector = await startCollector()
  tracing = await openTracing(
    { region: 'us-east-1', roles: ['api'], telemetry: { otlpEndpoint: collector.url } },
    silent,
  )
  api = await testApi({ tracer: tracing?.tracer })
  await api.database.read.hosts.heartbeat(HOST)
  worker = startJobWorker({
    name: 'worker',
    database: api.database,
    databaseUrl: api.database.pool.options.connectionString ?? '',
    ports: world.ports,
    log,
    host: HOST,
    tracer: tracing?.tracer,
  })
})
after(async () => {
  await worker.stop()
  await api.close()
  collector.close()
})

async function untilIn(state: HsmState, id: HsmId): Promise<void> {
  for (let i = 0; (await api.database.read.hsms.find(id))?.state !== state; i++) {
    assert.ok(i < 600, `${id} does not become ${state}`)
    await sleep(50)
  }
}

test('what a job makes another job do belongs to the same request', async () => {
  const ClusterId = await clusterIn(api, 'UNINITIALIZED')
  const { Hsm } = (await api.ask('CreateHsm', { ClusterId, AvailabilityZone: 'us-east-1a' })) as {
    Hsm: { HsmId: HsmId }
  }
  await untilIn('ACTIVE', Hsm.HsmId)
  const process = world.hsms.get(Hsm.HsmId)
  assert.ok(process)
  process.phase = 'active'
  await setClusterState(api, ClusterId, 'ACTIVE')
  const reply = await api.call('DeleteHsm', { ClusterId, HsmId: Hsm.HsmId })
  assert.equal(reply.status, 200, reply.text)
  const requestId = reply.headers.get('x-amzn-requestid') ?? ''
  await untilIn('DELETED', Hsm.HsmId)
  const jobs = lines.filter((line) => line.requestId === requestId && line.msg === 'step').map(({ job }) => job)
  // The backup before an HSM goes is a job of its own, which nobody but the deletion asked for.
  assert.deepEqual([...new Set(jobs)].toSorted(), ['delete-hsm', 'take-backup'])
})

test("a request's id is in the lines of its job, and its job's spans are in the caller's trace", async () => {
  const ClusterId = await clusterIn(api, 'UNINITIALIZED')
  const traceId = 'abcdef0123456789abcdef0123456789'
  const reply = await api.call(
    'CreateHsm',
    { ClusterId, AvailabilityZone: 'us-east-1a' },
    { headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` } },
  )
  assert.equal(reply.status, 200, reply.text)
  const requestId = reply.headers.get('x-amzn-requestid') ?? ''
  const { HsmId } = (reply.body as { Hsm: { HsmId: HsmId } }).Hsm
  await untilIn('ACTIVE', HsmId)
  await worker.stop()
  await tracing?.stop()

  const steps = lines.filter((line) => line.requestId === requestId && line.msg === 'step')
  assert.ok(steps.every((line) => line.job === 'launch-hsm'))
  assert.deepEqual(
    steps.map((line) => line.step),
    ['place', 'start', 'certify', 'choose', 'found', 'finish'],
  )
  assert.ok(api.log.some((line) => line.includes(requestId) && line.includes(traceId)))

  const spans = collector.spans.filter((span) => span.traceId === traceId)
  const one = (name: string) => {
    const found = spans.filter((span) => span.name === name)
    assert.equal(found.length, 1, `${name}: ${found.length}`)
    return found[0]
  }
  const [request, transaction, job] = [one('CreateHsm'), one('transaction'), one('job launch-hsm')]
  assert.equal(request?.parentSpanId, '00f067aa0ba902b7')
  assert.equal(transaction?.parentSpanId, request.spanId)
  assert.equal(job?.parentSpanId, transaction.spanId)
  for (const step of steps) assert.equal(one(`launch-hsm ${step.step ?? ''}`)?.parentSpanId, job.spanId)
  const id = request.attributes.find((attribute) => attribute.key === 'aws.request_id')
  assert.deepEqual(id?.value, { stringValue: requestId })
})

test('a job that waits carries the id of the request that it is for', async () => {
  const { database } = api
  const { Cluster } = (await api.ask('CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS })) as {
    Cluster: { ClusterId: string }
  }
  assert.ok(Cluster.ClusterId)
  const { rows } = await database.pool.query<{ payload: { requestId?: string } }>(
    "select payload from graphile_worker._private_jobs where payload ->> 'clusterId' = $1",
    [Cluster.ClusterId],
  )
  assert.match(rows[0]?.payload.requestId ?? '', /^[0-9a-f-]{36}$/)
})
