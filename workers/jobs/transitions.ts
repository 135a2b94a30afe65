/** Every long transition there is, and which of them a resource in a transitional state waits for. */
import { rowsInTransition, type Kind, type RowOf } from '../../state/change-state.ts'
import { liveJobKeys } from '../../state/job-workers.ts'
import { copyBackup } from './copy-backup.ts'
import { createCluster } from './create-cluster.ts'
import { deleteCluster } from './delete-cluster.ts'
import { deleteHsm } from './delete-hsm.ts'
import { initializeCluster } from './initialize-cluster.ts'
import { launchHsm } from './launch-hsm.ts'
import { migrateHsmType } from './migrate-hsm-type.ts'
import { rollBackHsmType } from './roll-back-hsm-type.ts'
import { takeBackup } from './take-backup.ts'
import { perform, type JobContext, type Outcome, type Transition } from './transition.ts'

/** One transition without its type parameters: how to run it for a payload, and how to queue it for a row. */
export interface AnyTransition {
  readonly name: string
  readonly perform: (payload: unknown, ctx: JobContext) => Promise<Outcome>
  /** At once, or not before a moment of real time. */
  readonly enqueue: (payload: unknown, ctx: Pick<JobContext, 'database'>, at?: Date) => Promise<void>
  /** Queues it for every row that waits for it while no job does. Gives their ids. */
  readonly reconcile: (ctx: Pick<JobContext, 'database'>, liveKeys: ReadonlySet<string>) => Promise<string[]>
}

function any<K extends Kind, Payload>(
  definition: Transition<K, Payload>,
  payloadOf: (row: RowOf[K]) => Payload,
): AnyTransition {
  const { job } = definition
  const enqueue = (payload: Payload, ctx: Pick<JobContext, 'database'>, at?: Date) =>
    ctx.database.read.enqueue(job, payload, { delayMs: at ? Math.max(0, at.getTime() - Date.now()) : 0 })
  return {
    name: job.name,
    perform: (payload, ctx) => perform(definition, job.payload.parse(payload), ctx),
    enqueue: (payload, ctx, at) => enqueue(job.payload.parse(payload), ctx, at),
    reconcile: async (ctx, liveKeys) => {
      const rows = await rowsInTransition(ctx.database.sql, definition.kind)
      const orphans = rows
        .filter((row) => row.state === definition.from && (definition.concerns?.(row) ?? true))
        .map(payloadOf)
        .filter((payload) => !liveKeys.has(job.key(payload)))
      for (const payload of orphans) await enqueue(payload, ctx)
      return orphans.map((payload) => job.key(payload))
    },
  }
}

export const TRANSITIONS: readonly AnyTransition[] = [
  any(createCluster, (row) => ({ clusterId: row.id })),
  any(initializeCluster, (row) => ({ clusterId: row.id })),
  any(deleteCluster, (row) => ({ clusterId: row.id })),
  any(migrateHsmType, (row) => ({ clusterId: row.id })),
  any(rollBackHsmType, (row) => ({ clusterId: row.id })),
  any(launchHsm, (row) => ({ hsmId: row.id })),
  any(deleteHsm, (row) => ({ hsmId: row.id })),
  any(takeBackup, (row) => ({ backupId: row.id })),
  any(copyBackup, (row) => ({ copyId: row.id })),
]

/**
 * Queues a job for every row in a transitional state that has none: lost with a worker, or given up by the queue. Gives
 * the keys of what was queued.
 */
export async function reconcile(ctx: Pick<JobContext, 'database'>): Promise<string[]> {
  const live = await liveJobKeys(ctx.database.sql)
  const queued: string[] = []
  for (const each of TRANSITIONS) queued.push(...(await each.reconcile(ctx, live)))
  return queued
}
