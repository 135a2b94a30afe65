/**
 * Whether any cluster or HSM changed since a moment. Whoever keeps what it made of them asks this instead of reading them
 * again. The database's snapshot alone would tell it too, but is another after every write of anything, such as the trail.
 */
import type { Pool } from 'pg'
import { sql } from 'drizzle-orm'
import type { Sql } from './database.ts'

export interface ChangesSince {
  /** This moment: what the database shows, as `pg_current_snapshot` has it. */
  readonly snapshot: string
  /** Whether something changed since, or it is not known any more. */
  readonly changed: boolean
}

/**
 * Rows below the oldest transaction that was under way then are of changes that were seen; that such a row is there still
 * proves that nothing above it was purged. Those count that could not be seen then: of the transactions that were under
 * way, and of those that came after.
 */
export const CHANGES_SINCE = `
  select pg_current_snapshot()::text,
    not exists (select from cluster_changes where transaction <= pg_snapshot_xmin($1::pg_snapshot))
    or exists (select from cluster_changes where transaction >= pg_snapshot_xmax($1::pg_snapshot))
    or exists (select from cluster_changes where transaction = any(array(select pg_snapshot_xip($1::pg_snapshot))))`

/** @param since `snapshot` of an earlier answer; undefined: none is known. */
export async function changesSince(pool: Pool, since: string | undefined): Promise<ChangesSince> {
  const { rows } = await pool.query<[string, boolean]>({
    name: 'cluster_changes_since',
    text: CHANGES_SINCE,
    values: [since ?? null],
    rowMode: 'array',
  })
  const [snapshot = '', changed = true] = rows[0] ?? []
  return { snapshot, changed }
}

/**
 * Forgets changes of more than an hour ago, but for the newest of them; and those of transactions that are yet to come,
 * as a database that was restored on another server may have.
 */
export async function purgeChanges(db: Sql): Promise<void> {
  await db.execute(sql`
    delete from cluster_changes where transaction >= pg_snapshot_xmax(pg_current_snapshot())`)
  await db.execute(sql`
    delete from cluster_changes where transaction < (
      select transaction from cluster_changes where at < now() - interval '1 hour' order by transaction desc limit 1)`)
}
