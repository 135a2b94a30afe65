/** Which fleet a database is of: its rows tell of HSMs and backups that no other fleet can speak to or open. */
import { sql } from 'drizzle-orm'
import { fleet } from '../migrations/schema.ts'
import type { Sql } from './database.ts'

/**
 * The database is of this fleet from now on. False, and nothing changed, when it is of another one that something is left
 * of: a cluster, the bytes of a backup, or a worker that lives.
 *
 * @param root SHA-256 of the root's certificate, in hexadecimal.
 */
export async function claimForFleet(db: Sql, root: string): Promise<boolean> {
  const { rowCount } = await db.execute(sql`
    insert into ${fleet} (id, root) values (1, ${root})
    on conflict (id) do update set root = excluded.root
    where fleet.root = excluded.root or not (
      exists (select from clusters where state <> 'DELETED')
      or exists (select from backups where size is not null)
      or exists (select from job_workers where heartbeat_at > now() - interval '10 seconds'))`)
  return rowCount === 1
}
