/** HSMs: typed access to their rows. */
import { and, asc, count, eq, ne } from 'drizzle-orm'
import { clusters, hsms } from '../migrations/schema.ts'
import type { AccountId, ClusterId, HsmId } from '../provider-schema/ids.ts'
import { changeState, deadlineOf, findRow, type Change } from './change-state.ts'
import type { Sql } from './database.ts'

export type Hsm = typeof hsms.$inferSelect

export const hsmsIn = (db: Sql) => ({
  find: (id: HsmId) => findRow(db, 'hsm', id),

  insert: async (hsm: typeof hsms.$inferInsert): Promise<Hsm> => {
    const [row] = await db
      .insert(hsms)
      .values({ ...hsm, deadline: deadlineOf('hsm', hsm.state) })
      .returning()
    if (!row) throw new Error('the HSM was not inserted')
    return row
  },

  changeState: (id: HsmId, change: Change<'hsm'>) => changeState(db, 'hsm', id, change),

  /** Columns other than the state. */
  update: async (id: HsmId, set: Partial<Omit<Hsm, 'id' | 'state'>>): Promise<void> => {
    await db.update(hsms).set(set).where(eq(hsms.id, id))
  },

  /** HSMs of a cluster that are not gone, oldest first. */
  ofCluster: (clusterId: ClusterId): Promise<Hsm[]> =>
    db
      .select()
      .from(hsms)
      .where(and(eq(hsms.clusterId, clusterId), ne(hsms.state, 'DELETED')))
      .orderBy(asc(hsms.createdAt), asc(hsms.id)),

  /** HSMs of the region that are not gone, each with its cluster: what the watcher looks at. */
  present: () =>
    db
      .select({ hsm: hsms, cluster: clusters })
      .from(hsms)
      .innerJoin(clusters, eq(hsms.clusterId, clusters.id))
      .where(ne(hsms.state, 'DELETED'))
      .orderBy(asc(hsms.id)),

  /** HSMs of an account that count against its quota. */
  countOf: async (account: AccountId): Promise<number> => {
    const [row] = await db
      .select({ n: count() })
      .from(hsms)
      .where(and(eq(hsms.account, account), ne(hsms.state, 'DELETED')))
    return row?.n ?? 0
  },

  /** Every address that is taken in the region, whether shown or listened on. */
  addressesInUse: async (): Promise<Set<string>> => {
    const rows = await db
      .select({ eniIp: hsms.eniIp, listenIp: hsms.listenIp })
      .from(hsms)
      .where(ne(hsms.state, 'DELETED'))
    return new Set(rows.flatMap((row) => [row.eniIp, row.listenIp]))
  },
})
