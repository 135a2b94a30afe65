/** Hosts: machines that run HSM processes, and where there is room on them. */
import { and, asc, count, eq, ne, sql } from 'drizzle-orm'
import { hosts, hsms } from '../migrations/schema.ts'
import type { HsmId } from '../provider-schema/ids.ts'
import type { Sql } from './database.ts'

export type Host = typeof hosts.$inferSelect

/** Seconds without a heartbeat after which a host is silent: it takes no new HSM, and nobody waits for it. */
export const HOST_SILENCE_SECONDS = 10

const isLive = sql<boolean>`${hosts.heartbeatAt} > now() - make_interval(secs => ${HOST_SILENCE_SECONDS})`

export const hostsIn = (db: Sql) => ({
  /** A host says that it lives, and what it can do. */
  heartbeat: async (host: Omit<typeof hosts.$inferInsert, 'heartbeatAt'>): Promise<void> => {
    const row = { ...host, heartbeatAt: sql`now()` }
    await db.insert(hosts).values(row).onConflictDoUpdate({ target: hosts.id, set: row })
  },

  /** A host, and whether it was heard of lately; undefined when it never was. */
  find: async (id: string): Promise<(Host & { readonly live: boolean }) | undefined> => {
    const [row] = await db.select({ host: hosts, live: isLive }).from(hosts).where(eq(hosts.id, id))
    return row && { ...row.host, live: row.live }
  },

  /**
   * The live host of a zone with the fewest HSMs and room for one more; before all others the preferred one. An HSM that is
   * on its way does not count.
   */
  leastLoaded: async (
    zone: string,
    { onItsWay, preferred }: { readonly onItsWay?: HsmId; readonly preferred?: string | null | undefined } = {},
  ): Promise<Host | undefined> => {
    const load = db
      .select({ hostId: hsms.hostId, n: count().as('n') })
      .from(hsms)
      .where(and(ne(hsms.state, 'DELETED'), onItsWay && ne(hsms.id, onItsWay)))
      .groupBy(hsms.hostId)
      .as('load')
    const [row] = await db
      .select({ host: hosts })
      .from(hosts)
      .leftJoin(load, eq(load.hostId, hosts.id))
      .where(and(sql`${hosts.zones} ? ${zone}`, isLive, sql`coalesce(${load.n}, 0) < ${hosts.capacity}`))
      .orderBy(sql`${hosts.id} <> ${preferred ?? ''}`, sql`coalesce(${load.n}, 0)`, asc(hosts.id))
      .limit(1)
    return row?.host
  },
})
