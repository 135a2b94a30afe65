/**
 * `/_strongroom/metrics`: a region in the text format of Prometheus. Requests as this process answered them; clusters,
 * HSMs, backups and jobs as the database has them; HSMs under the names that CloudHSM has in CloudWatch
 * ("Getting CloudWatch metrics for AWS CloudHSM": HsmUnhealthy, HsmKeysTokenOccupied and so on).
 *
 * Labels come from fixed sets, but for the ids of HSMs and their clusters, of which at most MOST_HSMS are told. The
 * library is loaded when somebody asks for the first time: a start should not wait for it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type * as prometheus from 'prom-client'
import { jobs } from '../../provider-schema/jobs.ts'
import { LIMITS } from '../../provider-schema/limits.ts'
import { BACKUP_STATES, CLUSTER_STATES, HSM_STATES } from '../../provider-schema/states.ts'
import { healthOfPresent } from '../../state/hsm-health.ts'
import { backupCounts, clusterCounts, hsmCounts, jobCounts, type StateCount } from '../../state/region-counts.ts'
import { within } from '../aws-json/within.ts'
import type { ApiPorts } from '../ports.ts'
import { BUCKETS, type OperationCounts, type RequestCounts } from './request-counts.ts'

const MOST_HSMS = 2_000
/** The database is asked no more often than this, however many ask for metrics. */
const FRESH_MS = 1_000
const ANSWER_MS = 3_000

export interface Metrics {
  /** The text; without the database it has what this process knows, and `strongroom_database_up 0`. */
  text(): Promise<string>
}

export function metrics(ports: ApiPorts, counts: RequestCounts): Metrics {
  let delays: IntervalHistogram | undefined
  let last: { readonly at: number; readonly text: Promise<string> } | undefined
  const make = async (): Promise<string> => {
    const library = await import('prom-client')
    const registry = new library.Registry()
    registry.setDefaultLabels({ region: ports.region })
    const gauge: MakeGauge = (name, help, labelNames = []) =>
      new library.Gauge({ name, help, labelNames: [...labelNames], registers: [registry] })
    tellRequests(registry, library, counts.read())
    tellProcess(gauge, (delays ??= watchDelays()))
    const isUp = await within(ANSWER_MS, () => tellRegion(gauge, ports)).then(
      () => true,
      () => false,
    )
    gauge('strongroom_database_up', 'Whether the database answered.').set(isUp ? 1 : 0)
    return (await registry.metrics()) + durations(ports.region, counts.read())
  }
  return {
    text: () => {
      const now = performance.now()
      if (!last || now - last.at > FRESH_MS) last = { at: now, text: make() }
      return last.text
    },
  }
}

type IntervalHistogram = ReturnType<typeof monitorEventLoopDelay>
type Library = typeof prometheus
type MakeGauge = (name: string, help: string, labelNames?: readonly string[]) => prometheus.Gauge

/** From the first question on: nobody pays for it who does not ask. */
function watchDelays(): IntervalHistogram {
  const delays = monitorEventLoopDelay({ resolution: 20 })
  delays.enable()
  return delays
}

function tellProcess(gauge: MakeGauge, delays: IntervalHistogram): void {
  const lag = gauge(
    'strongroom_event_loop_lag_seconds',
    'How late the event loop of the API was, since the last question.',
    ['quantile'],
  )
  const seconds = (nanoseconds: number) => (Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0)
  lag.set({ quantile: '0.5' }, seconds(delays.percentile(50)))
  lag.set({ quantile: '0.99' }, seconds(delays.percentile(99)))
  lag.set({ quantile: '1' }, seconds(delays.max))
  delays.reset()
  const { user, system } = process.cpuUsage()
  gauge('process_cpu_seconds_total', 'Processor time of the process.').set((user + system) / 1e6)
  gauge('process_resident_memory_bytes', 'Memory of the process.').set(process.memoryUsage.rss())
  gauge('process_start_time_seconds', 'When the process was started.').set(performance.timeOrigin / 1000)
}

function tellRequests(registry: prometheus.Registry, library: Library, operations: readonly OperationCounts[]): void {
  const total = new library.Counter({
    name: 'strongroom_api_requests_total',
    help: 'API requests by operation and outcome: ok, or the code of the error.',
    labelNames: ['operation', 'outcome'],
    registers: [registry],
  })
  for (const { operation, outcomes } of operations) {
    for (const [outcome, count] of outcomes) total.inc({ operation, outcome }, count)
  }
}

/** A histogram that was counted elsewhere, which the library cannot be given: written here (Prometheus text format). */
function durations(region: string, operations: readonly OperationCounts[]): string {
  const name = 'strongroom_api_request_duration_seconds'
  const lines = operations.flatMap(({ operation, buckets, seconds }) => {
    const labels = `operation="${operation}",region="${region}"`
    let sum = 0
    const bounded = buckets.map((count, at) => {
      sum += count
      return `${name}_bucket{le="${BUCKETS[at] ?? '+Inf'}",${labels}} ${sum}`
    })
    return [...bounded, `${name}_sum{${labels}} ${seconds}`, `${name}_count{${labels}} ${sum}`]
  })
  const head = [`# HELP ${name} From the head of a request to the end of its answer.`, `# TYPE ${name} histogram`]
  return [...head, ...lines, ''].join('\n')
}

async function tellRegion(gauge: MakeGauge, { database: { sql } }: ApiPorts): Promise<void> {
  const [clusters, hsms, backups, jobs, health] = await Promise.all([
    clusterCounts(sql),
    hsmCounts(sql),
    backupCounts(sql),
    jobCounts(sql),
    healthOfPresent(sql, MOST_HSMS),
  ])
  const byState = (name: string, help: string, rows: readonly StateCount[], states: readonly string[]) => {
    const made = gauge(name, help, ['state'])
    // States without any are told too: an alarm can be set on what has never been.
    for (const state of states) made.set({ state }, rows.find((row) => row.state === state)?.count ?? 0)
  }
  byState('strongroom_clusters', 'Clusters by state.', clusters, present(CLUSTER_STATES))
  byState('strongroom_hsms', 'HSMs by state.', hsms, present(HSM_STATES))
  byState('strongroom_backups', 'Backups by state.', backups, present(BACKUP_STATES))
  const ages = gauge('strongroom_backup_age_seconds', 'Age of the newest and of the oldest backup in a state.', AGES)
  for (const { state, newestSeconds, oldestSeconds } of backups) {
    ages.set({ state, which: 'newest' }, newestSeconds)
    ages.set({ state, which: 'oldest' }, oldestSeconds)
  }
  const count = gauge('strongroom_jobs', 'Jobs by task and state: waiting, running, or failed for good.', [
    'task',
    'state',
  ])
  const oldest = gauge('strongroom_job_oldest_seconds', 'Age of the oldest of them.', ['task', 'state'])
  for (const task of TASKS) {
    for (const state of ['waiting', 'running', 'failed'] as const) {
      const found = jobs.find((row) => row.task === task && row.state === state)
      count.set({ task, state }, found?.count ?? 0)
      oldest.set({ task, state }, found?.oldestSeconds ?? 0)
    }
  }
  tellHsms(gauge, health)
}

const AGES = ['state', 'which']
const present = (states: readonly string[]) => states.filter((state) => state !== 'DELETED')
const TASKS = Object.values(jobs).map((job) => job.name)

/** Names, and what they count, as in CloudWatch's namespace AWS/CloudHSM. */
function tellHsms(gauge: MakeGauge, health: Awaited<ReturnType<typeof healthOfPresent>>): void {
  const perHsm = (name: string, help: string) => gauge(name, help, ['cluster', 'hsm'])
  const unhealthy = perHsm('HsmUnhealthy', 'Whether the HSM is DEGRADED or does not answer.')
  const session = perHsm('HsmKeysSessionOccupied', 'Session keys that the HSM holds.')
  const token = perHsm('HsmKeysTokenOccupied', 'Token keys that the HSM holds.')
  const sessions = perHsm('HsmSessionCount', 'Open connections to the HSM.')
  const users = perHsm('HsmUsersAvailable', 'Users that can still be created.')
  for (const hsm of health) {
    const labels = { cluster: hsm.clusterId, hsm: hsm.id }
    if (hsm.answers === null) continue
    unhealthy.set(labels, hsm.state === 'DEGRADED' || !hsm.answers ? 1 : 0)
    session.set(labels, hsm.sessionKeys ?? 0)
    token.set(labels, (hsm.keys ?? 0) - (hsm.sessionKeys ?? 0))
    sessions.set(labels, hsm.sessions ?? 0)
    users.set(labels, Math.max(0, LIMITS.usersPerCluster[hsm.hsmType] - (hsm.users ?? 0)))
  }
}
