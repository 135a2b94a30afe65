/**
 * Which job workers are alive, and what the queue holds for the dead. graphile-worker keeps the jobs of a killed worker
 * locked for hours; heartbeats let the others release them within seconds.
 */
import { eq, sql } from 'drizzle-orm'
import { jobWorkers } from '../migrations/schema.ts'
import type { Sql } from './database.ts'

/** Seconds without a heartbeat after which a worker counts as dead; it beats once a second. */
export const WORKER_SILENCE_SECONDS = 3

/** This process lives and these are the ids under which the queue locks jobs for it. */
export async function beat(db: Sql, id: string, workerIds: readonly string[]): Promise<void> {
  const row = { id, workerIds: [...workerIds], heartbeatAt: sql`now()` }
  await db.insert(jobWorkers).values(row).onConflictDoUpdate({ target: jobWorkers.id, set: row })
}

/** A worker starts under this name: jobs that the one before it held, if it was killed, go back to the queue at once. */
export async function takeOver(db: Sql, id: string): Promise<string[]> {
  return db.transaction(async (tx) => {
    const before = await tx.delete(jobWorkers).where(eq(jobWorkers.id, id)).returning()
    return unlock(
      tx,
      before.flatMap((row) => row.workerIds),
    )
  })
}

/** This process stops and holds no job any more. */
export async function signOff(db: Sql, id: string): Promise<void> {
  await db.delete(jobWorkers).where(eq(jobWorkers.id, id))
}

/**
 * Gives back to the queue the jobs of every worker that stopped beating, and of every lock that no known worker owns.
 * Returns the worker ids that were released.
 */
export async function releaseJobsOfTheDead(db: Sql): Promise<string[]> {
  return db.transaction(async (tx) => {
    const gone = await tx
      .delete(jobWorkers)
      .where(sql`${jobWorkers.heartbeatAt} < now() - make_interval(secs => ${WORKER_SILENCE_SECONDS})`)
      .returning()
    const orphaned = await tx.execute<{ locked_by: string }>(sql`
      select distinct locked_by from graphile_worker.jobs
      where locked_by is not null
        and locked_at < now() - make_interval(secs => ${WORKER_SILENCE_SECONDS})
        and not exists (select 1 from ${jobWorkers} where ${jobWorkers.workerIds} ? locked_by)`)
    return unlock(tx, [...gone.flatMap((row) => row.workerIds), ...orphaned.rows.map((row) => row.locked_by)])
  })
}

async function unlock(tx: Sql, workerIds: readonly string[]): Promise<string[]> {
  const ids = [...new Set(workerIds)]
  if (ids.length > 0) await tx.execute(sql`select graphile_worker.force_unlock_workers(${sql.param(ids)}::text[])`)
  return ids
}

/** Keys of the jobs that wait or run. */
export async function liveJobKeys(db: Sql): Promise<Set<string>> {
  const result = await db.execute<{ key: string }>(
    sql`select key from graphile_worker.jobs where key is not null and attempts < max_attempts`,
  )
  return new Set(result.rows.map((row) => row.key))
}
