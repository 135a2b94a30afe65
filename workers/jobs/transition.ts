/**
 * A long transition: a resource in a transitional state is taken, by small named steps, to a state of rest.
 *
 * Each step may run twice: it says where to go next, and only then is its progress recorded, by compare-and-set. A worker
 * that dies between two steps therefore costs nothing but the repetition of one. A step that throws is repeated, with
 * growing pauses, until the deadline in the row; then `expired` takes the resource to where the user can act on it.
 */
import type { Logger } from 'pino'
import type { Tracer, TraceContext } from '../../provider-schema/trace.ts'
import type { JobSpec } from '../../provider-schema/jobs.ts'
import { findRow, recordStep, rest, type Kind, type RowOf, type StateOf } from '../../state/change-state.ts'
import type { Database } from '../../state/database.ts'
import type { OldestClients } from './client-versions.ts'
import { restMs, type Pace } from './pace.ts'
import type { Ports } from './ports.ts'
import type { Recovery } from './recovery.ts'
import { pause, stopped } from './until-stopped.ts'

export interface JobContext {
  readonly database: Database
  readonly ports: Ports
  /** Of a job: with the job's name and the id of the request that led to it in every line. */
  readonly log: Logger
  /** The service clock, of the timestamps that are shown. Deadlines are in real time. */
  readonly clock: () => Date
  readonly pace: Pace
  readonly tracer?: Tracer | undefined
  /** The job's own place in the trace. */
  readonly trace?: TraceContext | undefined
  /** Aborts when the worker is to stop. */
  readonly signal: AbortSignal
  readonly recovery?: Recovery | undefined
  /** Of which version clients must have been before the HSM type changes. */
  readonly oldestClients?: OldestClients | undefined
  /** Told after each step, before its progress is recorded, and once it is. Tests end the process here. */
  readonly onStep?: ((at: { job: string; step: string; recorded: boolean }) => void) | undefined
}

export type Next<Step extends string = string> =
  | { readonly kind: 'to'; readonly step: Step }
  | { readonly kind: 'again'; readonly afterMs: number; readonly why: string }
  | { readonly kind: 'done' }

/** This step is through; go on with that one. */
export const to = <Step extends string>(step: Step): Next<Step> => ({ kind: 'to', step })
/** What the step waits for is not there yet. `why` is shown when the deadline passes meanwhile. */
export const again = (afterMs: number, why: string): Next<never> => ({ kind: 'again', afterMs, why })
/** The resource has left the state: there is nothing more to do. */
export const done: Next<never> = { kind: 'done' }

/** Thrown by a step that no repetition can help: the transition ends as if its deadline had passed. */
export class Hopeless extends Error {}

export interface Transition<K extends Kind, Payload> {
  readonly kind: K
  readonly job: JobSpec<Payload>
  readonly idOf: (payload: Payload) => RowOf[K]['id']
  /** The state in which it has something to do; a row in any other is left alone. */
  readonly from: StateOf[K]
  /** Rows of that state that it has to do with; all, when left out. */
  readonly concerns?: (row: RowOf[K]) => boolean
  readonly first: string
  /** The step before which it rests when the operator asked for a slower pace; the first, when left out. */
  readonly restsBefore?: string
  /** Seconds that it may take once it has rested; those of its kind, when left out. */
  readonly secondsOnceRested?: number
  readonly steps: Readonly<Record<string, (row: RowOf[K], ctx: JobContext) => Promise<Next>>>
  /** Leaves the state when the deadline has passed or the case is hopeless. `reason` is fit for StateMessage. */
  readonly expired: (row: RowOf[K], ctx: JobContext, reason: string) => Promise<void>
}

/** Keeps the types of a transition's steps together. */
export function transition<K extends Kind, Payload>(definition: Transition<K, Payload>): Transition<K, Payload> {
  return definition
}

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000

/** How performing ended: to be queued again at once when interrupted, and for then when it rests. */
export type Outcome = 'finished' | 'interrupted' | { readonly restsUntil: Date }

/**
 * Performs a transition from wherever its row stands to the end, or to where it rests. Resolves with `interrupted` when
 * the worker was told to stop meanwhile. Throws only when the database does not answer.
 */
export async function perform<K extends Kind, Payload>(
  definition: Transition<K, Payload>,
  payload: Payload,
  ctx: JobContext,
): Promise<Outcome> {
  const id = definition.idOf(payload)
  const db = ctx.database.sql
  let pauseMs = FIRST_PAUSE_MS
  for (;;) {
    if (stopped(ctx.signal)) return 'interrupted'
    const row = await findRow(db, definition.kind, id)
    if (!row || row.state !== definition.from || definition.concerns?.(row) === false) return 'finished'
    if (row.deadline && row.deadline.getTime() < Date.now()) {
      await definition.expired(row, ctx, row.stepError ?? 'it took too long')
      return 'finished'
    }
    const name = row.step ?? definition.first
    const restsUntil = await restOf(definition, row, name, ctx)
    if (restsUntil && restsUntil.getTime() > Date.now()) return { restsUntil }
    const next = await attempt(definition, row, name, ctx)
    if (next === 'expired' || next.kind === 'done') return 'finished'
    if (next.kind === 'to') {
      ctx.onStep?.({ job: definition.job.name, step: name, recorded: false })
      await recordStep(db, definition.kind, id, { state: definition.from, step: row.step }, { step: next.step })
      ctx.onStep?.({ job: definition.job.name, step: name, recorded: true })
      pauseMs = FIRST_PAUSE_MS
      continue
    }
    const at = { state: definition.from, step: row.step }
    if (next.why !== row.stepError) await recordStep(db, definition.kind, id, at, { step: row.step, error: next.why })
    await pause(next.afterMs || pauseMs, ctx.signal)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }
}

/**
 * Until when the transition rests before this step. Decided once and kept in the row, until a step takes it out of there:
 * a worker that dies loses nothing of it, and another does not begin it anew.
 */
async function restOf<K extends Kind, Payload>(
  definition: Transition<K, Payload>,
  row: RowOf[K],
  name: string,
  { pace, database }: JobContext,
): Promise<Date | undefined> {
  if (row.notBefore) return row.notBefore
  if (pace === 0 || name !== (definition.restsBefore ?? definition.first)) return undefined
  const ms = restMs(pace, definition.job.name)
  if (ms === 0) return undefined
  const at = { state: definition.from, step: row.step }
  return rest(database.sql, definition.kind, row.id, at, ms, definition.secondsOnceRested)
}

/** Runs one step; what it throws becomes a repetition, or the end when it is hopeless. */
async function attempt<K extends Kind, Payload>(
  definition: Transition<K, Payload>,
  row: RowOf[K],
  name: string,
  ctx: JobContext,
): Promise<Next | 'expired'> {
  const step = definition.steps[name]
  if (!step) throw new Error(`${definition.job.name} has no step ${name}`)
  const began = performance.now()
  const attributes = { 'strongroom.job': definition.job.name, 'strongroom.resource': row.id, 'strongroom.step': name }
  const span = ctx.tracer?.start(`${definition.job.name} ${name}`, { parent: ctx.trace, attributes })
  try {
    const next = await step(row, ctx)
    span?.end({ attributes: { 'strongroom.next': next.kind === 'to' ? next.step : next.kind } })
    // What waits is asked many times a second: it has nothing to tell.
    if (next.kind !== 'again') {
      const ms = Math.round(performance.now() - began)
      ctx.log.info({ id: row.id, step: name, next: next.kind === 'to' ? next.step : 'done', ms }, 'step')
    }
    return next
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    span?.end({ error: reason })
    ctx.log.warn({ job: definition.job.name, id: row.id, step: name, err: error }, 'a step failed')
    if (!(error instanceof Hopeless)) return again(0, reason)
    await definition.expired(row, ctx, reason)
    return 'expired'
  }
}
