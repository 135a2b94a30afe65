/**
 * The service clock of a region: real time and whatever a rehearsal moved it ahead. Durations that the service promises
 * (retention, the seven days of a deleted backup) are counted on it; signatures and deadlines of jobs are not.
 */
import { eq, sql } from 'drizzle-orm'
import { jobs } from '../provider-schema/jobs.ts'
import { serviceClock } from '../migrations/schema.ts'
import type { Sql } from './database.ts'
import { enqueueIn } from './enqueue.ts'

/** It never goes further ahead than this: a century, in milliseconds. */
export const FURTHEST_MS = 100 * 365 * 24 * 3_600_000

/** By how many milliseconds it is ahead of real time. */
export async function clockAhead(db: Sql): Promise<number> {
  const [row] = await db.select({ ahead: serviceClock.ahead }).from(serviceClock).where(eq(serviceClock.id, 1))
  return row?.ahead ?? 0
}

/**
 * Moves it ahead, and has at once done what is due by then. Gives by how many milliseconds it is ahead now; undefined,
 * and nothing moved, when that would be more than FURTHEST_MS.
 */
export async function advanceClock(db: Sql, ms: number): Promise<number | undefined> {
  return db.transaction(async (tx) => {
    await tx.insert(serviceClock).values({ ahead: 0 }).onConflictDoNothing()
    const [row] = await tx
      .update(serviceClock)
      .set({ ahead: sql`${serviceClock.ahead} + ${ms}` })
      .where(sql`${serviceClock.ahead} + ${ms} <= ${FURTHEST_MS}`)
      .returning({ ahead: serviceClock.ahead })
    if (row) await enqueueIn(tx)(jobs.housekeeping, {})
    return row?.ahead
  })
}
