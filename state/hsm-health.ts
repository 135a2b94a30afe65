/** What HSMs last said of themselves: written by the watcher, read by the metrics, perhaps in another process. */
import { eq, ne, sql } from 'drizzle-orm'
import { hsmHealth, hsms } from '../migrations/schema.ts'
import type { Sql } from './database.ts'

export type HsmHealth = Omit<typeof hsmHealth.$inferInsert, 'askedAt'>

/** Many at once; an HSM that did not answer keeps the numbers it last told. */
export async function tellHealth(db: Sql, told: readonly HsmHealth[]): Promise<void> {
  if (told.length === 0) return
  const kept = (column: 'keys' | 'session_keys' | 'users' | 'sessions') =>
    sql.raw(`case when excluded.answers then excluded.${column} else hsm_health.${column} end`)
  await db
    .insert(hsmHealth)
    .values(told.map((each) => ({ ...each, askedAt: sql`now()` })))
    .onConflictDoUpdate({
      target: hsmHealth.hsmId,
      set: {
        askedAt: sql`now()`,
        answers: sql`excluded.answers`,
        keys: kept('keys'),
        sessionKeys: kept('session_keys'),
        users: kept('users'),
        sessions: kept('sessions'),
      },
    })
}

/** Of HSMs that are gone nothing is kept. */
export async function forgetGone(db: Sql): Promise<void> {
  await db.execute(sql`
    delete from ${hsmHealth} where not exists (
      select 1 from ${hsms} where ${hsms.id} = ${hsmHealth.hsmId} and ${hsms.state} <> 'DELETED')`)
}

/** Every HSM of the region that is not gone, with what it last said; null when it never did. */
export const healthOfPresent = (db: Sql, most: number) =>
  db
    .select({
      id: hsms.id,
      clusterId: hsms.clusterId,
      hsmType: hsms.hsmType,
      state: hsms.state,
      answers: hsmHealth.answers,
      keys: hsmHealth.keys,
      sessionKeys: hsmHealth.sessionKeys,
      users: hsmHealth.users,
      sessions: hsmHealth.sessions,
    })
    .from(hsms)
    .leftJoin(hsmHealth, eq(hsmHealth.hsmId, hsms.id))
    .where(ne(hsms.state, 'DELETED'))
    .orderBy(hsms.id)
    .limit(most)
