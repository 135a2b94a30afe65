/** Hosts: machines that run HSM processes, and where there is room on them. */
import { asc, count, eq, sql } from 'drizzle-orm'
import { hosts, hsms } from '../migrations/schema.ts'
import type { Sql } from './database.ts'

export type Host = typeof hosts.$inferSelect

/** Seconds without a heartbeat after which a host takes no new HSM. */
export const HOST_SILENCE_SECONDS = 15

export const hostsIn = (db: Sql) => ({
  /** A host says that it lives, and what it can do. */
  heartbeat: async (host: Omit<Host, 'heartbeatAt'>): Promise<void> => {
    const row = { ...host, heartbeatAt: sql`now()` }
    await db.insert(hosts).values(row).onConflictDoUpdate({ target: hosts.id, set: row })
  },

  /** The live host of a zone with the fewest HSMs and room for one more. */
  leastLoaded: async (zone: string): Promise<Host | undefined> => {
    const load = db
      .select({ hostId: hsms.hostId, n: count().as('n') })
      .from(hsms)
      .where(sql`${hsms.state} <> 'DELETED'`)
      .groupBy(hsms.hostId)
      .as('load')
    const [row] = await db
      .select({ host: hosts })
      .from(hosts)
      .leftJoin(load, eq(load.hostId, hosts.id))
      .where(
        sql`${hosts.zones} ? ${zone} and ${hosts.heartbeatAt} > now() - make_interval(secs => ${HOST_SILENCE_SECONDS})
            and coalesce(${load.n}, 0) < ${hosts.capacity}`,
      )
      .orderBy(sql`coalesce(${load.n}, 0)`, asc(hosts.id))
      .limit(1)
    return row?.host
  },
})
