/** A region in numbers, for the metrics: one statement each, over indexes or small tables. */
import { sql } from 'drizzle-orm'
import type { Sql } from './database.ts'

export interface StateCount {
  readonly state: string
  readonly count: number
}

export interface JobCount {
  readonly task: string
  /** `waiting` for its time or a worker, `running`, or `failed` for good. */
  readonly state: 'waiting' | 'running' | 'failed'
  readonly count: number
  /** Seconds since the oldest was put into the queue. */
  readonly oldestSeconds: number
}

export interface BackupCount extends StateCount {
  readonly newestSeconds: number
  readonly oldestSeconds: number
}

const rowsOf = async <Row extends Record<string, unknown>>(db: Sql, statement: ReturnType<typeof sql>) =>
  (await db.execute<Row>(statement)).rows

export const clusterCounts = (db: Sql) =>
  rowsOf<StateCount & Record<string, unknown>>(
    db,
    sql`select state, count(*)::int as count from clusters where state <> 'DELETED' group by state`,
  )

export const hsmCounts = (db: Sql) =>
  rowsOf<StateCount & Record<string, unknown>>(
    db,
    sql`select state, count(*)::int as count from hsms where state <> 'DELETED' group by state`,
  )

export const backupCounts = (db: Sql) =>
  rowsOf<BackupCount & Record<string, unknown>>(
    db,
    sql`select state, count(*)::int as count,
          extract(epoch from now() - max(created_at))::float8 as "newestSeconds",
          extract(epoch from now() - min(created_at))::float8 as "oldestSeconds"
        from backups where state <> 'DELETED' group by state`,
  )

export const jobCounts = (db: Sql) =>
  rowsOf<JobCount & Record<string, unknown>>(
    db,
    sql`select task_identifier as task,
          case when attempts >= max_attempts and locked_at is null then 'failed'
               when locked_at is not null then 'running' else 'waiting' end as state,
          count(*)::int as count, extract(epoch from now() - min(created_at))::float8 as "oldestSeconds"
        from graphile_worker.jobs group by 1, 2`,
  )
