/**
 * Puts a job into the queue, in the same transaction as the rows that make it necessary. The job carries the id of the
 * request that led to it.
 */
import { sql } from 'drizzle-orm'
import { jobOrigin, type JobOrigin, type JobSpec } from '../provider-schema/jobs.ts'
import type { Sql } from './database.ts'

/**
 * Attempts that the queue itself makes when a job dies without having said why. Steps that fail are repeated by the
 * transition until its deadline and do not count.
 */
export const MAX_ATTEMPTS = 25

/** What a job is told, as JSON: its payload, and which request led to it. */
export const payloadOf = <Payload>(job: JobSpec<Payload>, payload: Payload, origin: JobOrigin): string =>
  JSON.stringify({ ...job.payload.parse(payload), ...jobOrigin.parse(origin) })

export const enqueueIn =
  (db: Sql, origin: JobOrigin = {}) =>
  async <Payload>(
    job: JobSpec<Payload>,
    payload: Payload,
    { delayMs = 0 }: { delayMs?: number } = {},
  ): Promise<void> => {
    await db.execute(sql`
      select enqueue_job(
        ${job.name},
        ${payloadOf(job, payload, origin)}::json,
        ${job.key(payload)},
        ${MAX_ATTEMPTS},
        now() + make_interval(secs => ${delayMs / 1000})
      )`)
  }
