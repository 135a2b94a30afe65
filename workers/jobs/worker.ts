/**
 * The job worker of one process: takes jobs from the queue, performs them, and shows that it lives.
 *
 * It never ends by itself: when Postgres goes away it waits for it. Jobs that a killed worker held are given back within
 * WORKER_SILENCE_SECONDS by whichever worker looks next, and a row that waits for a job that was lost gets a new one.
 */
import { EventEmitter } from 'node:events'
import { Logger as QueueLogger, run, type Runner, type Task, type TaskList, type WorkerEvents } from 'graphile-worker'
import type { Logger } from 'pino'
import { jobs } from '../../provider-schema/jobs.ts'
import type { Tracer } from '../../provider-schema/trace.ts'
import { openPool, type Database } from '../../state/database.ts'
import { beat, releaseJobsOfTheDead, signOff, takeOver } from '../../state/job-workers.ts'
import { keepHouse } from './housekeeping.ts'
import type { Pace } from './pace.ts'
import type { Ports } from './ports.ts'
import { reconcile, TRANSITIONS } from './transitions.ts'
import type { JobContext } from './transition.ts'
import { watch } from './watch.ts'
import { abortOf, pause, stopped } from './until-stopped.ts'

export interface JobWorkerOptions {
  /** A name that no other living worker of the region has, and that this one has again after a restart. */
  readonly name: string
  readonly database: Database
  readonly databaseUrl: string
  readonly ports: Ports
  readonly log: Logger
  /** The host that this process runs HSMs on; told to the database with every heartbeat. */
  readonly host?: Parameters<Database['read']['hosts']['heartbeat']>[0]
  readonly recovery?: JobContext['recovery']
  readonly oldestClients?: JobContext['oldestClients']
  /** The service clock; real time, when left out. */
  readonly clock?: JobContext['clock']
  /** 0, when left out. */
  readonly pace?: Pace
  readonly onStep?: JobContext['onStep']
  readonly tracer?: Tracer | undefined
}

export interface JobWorker {
  /** Lets steps under way end, gives jobs back, stops. */
  stop(): Promise<void>
}

/** Jobs at once: they mostly wait for HSMs. Each may hold a connection, and one listens. */
const CONCURRENCY = 10
const BEAT_MS = 1_000
const RECONCILE_MS = 5_000
/** Moving the clock queues it as well. */
const HOUSEKEEPING_MS = 30_000
const POLL_MS = 1_000
const RESTART_MS = 500

/** Starts working. Resolves at once; the first connection is made in the background. */
export function startJobWorker(options: JobWorkerOptions): JobWorker {
  const stop = new AbortController()
  const ctx: JobContext = {
    database: options.database,
    ports: options.ports,
    log: options.log,
    clock: options.clock ?? (() => new Date()),
    pace: options.pace ?? 0,
    signal: stop.signal,
    recovery: options.recovery,
    oldestClients: options.oldestClients,
    onStep: options.onStep,
    tracer: options.tracer,
  }
  const id = options.name
  const workerIds = new Set<string>()
  const running = Promise.all([
    workQueue(options, ctx, id, workerIds),
    every(BEAT_MS, ctx, 'the heartbeat failed', () => heartbeat(options, ctx, id, workerIds)),
    every(RECONCILE_MS, ctx, 'reconciling failed', async () => {
      const queued = await reconcile(ctx)
      if (queued.length > 0) ctx.log.info({ jobs: queued }, 'queued what no job was working on')
    }),
    every(HOUSEKEEPING_MS, ctx, 'housekeeping could not be queued', () =>
      options.database.read.enqueue(jobs.housekeeping, {}),
    ),
    watch(ctx),
  ])
  return {
    stop: async () => {
      stop.abort()
      await running
      await signOff(options.database.sql, id).catch((error: unknown) => {
        options.log.warn({ err: error }, 'the worker could not sign off')
      })
    },
  }
}

/** Runs the queue's runner, again whenever it ends while it should not. */
async function workQueue(
  options: JobWorkerOptions,
  ctx: JobContext,
  id: string,
  workerIds: Set<string>,
): Promise<void> {
  while (!stopped(ctx.signal)) {
    let runner: Runner | undefined
    // A pool that the queue makes stops listening for errors before it ends: a server that shuts down meanwhile, closing its
    // connections, would end this process.
    const pool = openPool({ connectionString: options.databaseUrl, max: CONCURRENCY + 1 })
    try {
      await takeOver(options.database.sql, id)
      runner = await run({
        pgPool: pool,
        concurrency: CONCURRENCY,
        pollInterval: POLL_MS,
        noHandleSignals: true,
        taskList: tasks(ctx),
        logger: queueLogger(options.log),
        events: workerIdsInto(workerIds),
      })
      const ended = runner.promise
      await beat(options.database.sql, id, [...workerIds])
      await Promise.race([ended, abortOf(ctx.signal)])
    } catch (error) {
      if (!stopped(ctx.signal)) ctx.log.warn({ err: error }, 'the job queue ended; it is started again')
    }
    if (stopped(ctx.signal)) await runner?.stop().catch(() => undefined)
    else await pause(RESTART_MS, ctx.signal)
    void pool.end().catch(() => undefined)
    workerIds.clear()
  }
}

function tasks(ctx: JobContext): TaskList {
  const transitions = TRANSITIONS.map((each): [string, Task] => [
    each.name,
    async (payload: unknown) => {
      const outcome = await each.perform(payload, ctx)
      // The step under way was let end; the rest is for whoever works next.
      if (outcome === 'interrupted') await each.enqueue(payload, ctx)
      else if (outcome !== 'finished') await each.enqueue(payload, ctx, outcome.restsUntil)
    },
  ])
  return { ...Object.fromEntries(transitions), [jobs.housekeeping.name]: () => keepHouse(ctx) }
}

async function heartbeat(
  { database, host }: JobWorkerOptions,
  ctx: JobContext,
  id: string,
  workerIds: ReadonlySet<string>,
): Promise<void> {
  await beat(database.sql, id, [...workerIds])
  if (host) await database.read.hosts.heartbeat(host)
  const released = await releaseJobsOfTheDead(database.sql)
  if (released.length > 0) ctx.log.warn({ workers: released }, 'released the jobs of dead workers')
}

/** Does something now and at intervals, until the signal; what it throws is logged. */
async function every(ms: number, ctx: JobContext, complaint: string, work: () => Promise<void>): Promise<void> {
  while (!stopped(ctx.signal)) {
    try {
      await work()
    } catch (error) {
      if (!stopped(ctx.signal)) ctx.log.warn({ err: error }, complaint)
    }
    await pause(ms, ctx.signal)
  }
}

/** The queue locks jobs under the id of a worker pool, of which each runner has one. */
function workerIdsInto(ids: Set<string>): WorkerEvents {
  const events: WorkerEvents = new EventEmitter()
  events.on('pool:create', ({ workerPool }) => ids.add(workerPool.id))
  events.on('pool:release', ({ workerPool }) => ids.delete(workerPool.id))
  return events
}

/** The queue's own messages: only what is wrong matters. */
function queueLogger(log: Logger): QueueLogger {
  return new QueueLogger(() => (level, message) => {
    if (level === 'error') log.error({ queue: message }, 'job queue')
    else if (level === 'warning') log.warn({ queue: message }, 'job queue')
  })
}
