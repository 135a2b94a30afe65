/**
 * The ways in which every transition is tried: undisturbed; each step twice; each step failing at first; and the worker
 * dying at each step boundary. After each the outcome must be the same.
 */
import { jobs, type JobSpec } from '../../../provider-schema/jobs.ts'
import type { Kind } from '../../../state/change-state.ts'
import { perform, type JobContext, type Transition } from '../transition.ts'
import { takeBackup } from '../take-backup.ts'

/** Thrown in place of a kill: nothing after the boundary runs. */
class Died extends Error {}

export interface Trial {
  readonly name: string
  run<K extends Kind, Payload>(definition: Transition<K, Payload>, payload: Payload, ctx: JobContext): Promise<void>
}

export const TRIALS: readonly Trial[] = [
  { name: 'undisturbed', run: (definition, payload, ctx) => untilFinished(definition, payload, ctx) },
  {
    name: 'with every step run twice',
    run: (definition, payload, ctx) => untilFinished(twice(definition), payload, ctx),
  },
  {
    name: 'with the worker gone after every step, before its progress is recorded',
    run: (definition, payload, ctx) => dying(definition, payload, ctx, false),
  },
  {
    name: 'with the worker gone after every step, once its progress is recorded',
    run: (definition, payload, ctx) => dying(definition, payload, ctx, true),
  },
  {
    name: 'with every step failing the first time it is tried',
    run: (definition, payload, ctx) => untilFinished(failingFirst(definition), payload, ctx),
  },
]

/** Performs a transition, and meanwhile every backup that it waits for, as the queue would. */
export async function untilFinished<K extends Kind, Payload>(
  definition: Transition<K, Payload>,
  payload: Payload,
  ctx: JobContext,
): Promise<void> {
  if (definition.kind === 'backup') {
    await perform(definition, payload, ctx)
    return
  }
  const finished = perform(definition, payload, ctx)
  let over = false
  void finished.finally(() => (over = true)).catch(() => undefined)
  const backups = (async () => {
    while (!ended()) {
      for (const job of await queuedBackups(ctx)) await perform(takeBackup, job, ctx)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  await finished.finally(() => (over = true))
  await backups

  function ended(): boolean {
    return over
  }
}

async function queuedBackups(ctx: JobContext) {
  const spec: JobSpec<{ backupId: never }> = jobs.takeBackup as never
  const { rows } = await ctx.database.pool.query<{ backup: string }>(
    `select id as backup from backups where state = 'CREATE_IN_PROGRESS' and copy_id is null`,
  )
  return rows.map((row) => spec.payload.parse({ backupId: row.backup }))
}

function twice<K extends Kind, Payload>(definition: Transition<K, Payload>): Transition<K, Payload> {
  const steps = Object.entries(definition.steps).map(([name, step]) => [
    name,
    async (...args: Parameters<typeof step>) => {
      await step(...args)
      return step(...args)
    },
  ])
  return { ...definition, steps: Object.fromEntries(steps) as typeof definition.steps }
}

function failingFirst<K extends Kind, Payload>(definition: Transition<K, Payload>): Transition<K, Payload> {
  const failed = new Set<string>()
  const steps = Object.entries(definition.steps).map(([name, step]) => [
    name,
    async (...args: Parameters<typeof step>) => {
      const next = await step(...args)
      if (failed.has(name) || next.kind === 'again') return next
      failed.add(name)
      throw new Error(`simulated failure of ${name}, after its work was done`)
    },
  ])
  return { ...definition, steps: Object.fromEntries(steps) as typeof definition.steps }
}

async function dying<K extends Kind, Payload>(
  definition: Transition<K, Payload>,
  payload: Payload,
  ctx: JobContext,
  recorded: boolean,
): Promise<void> {
  const died = new Set<string>()
  const onStep: JobContext['onStep'] = (at) => {
    if (at.job !== definition.job.name || at.recorded !== recorded || died.has(at.step)) return
    died.add(at.step)
    throw new Died(at.step)
  }
  for (let alive = false; !alive;) {
    alive = await untilFinished(definition, payload, { ...ctx, onStep }).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Died) return false
        throw error
      },
    )
  }
}
