/** Clusters: typed access to their rows. */
import { and, eq, sql } from 'drizzle-orm'
import { clusters } from '../migrations/schema.ts'
import { notFound } from '../provider-schema/errors.ts'
import type { AccountId, ClusterId } from '../provider-schema/ids.ts'
import { clustersToBackUp } from './backup-content.ts'
import { changeState, deadlineOf, findRow, type Change } from './change-state.ts'
import type { Sql } from './database.ts'

export type Cluster = typeof clusters.$inferSelect

export const clustersIn = (db: Sql) => ({
  find: (id: ClusterId) => findRow(db, 'cluster', id),

  /**
   * Locks a cluster until the transaction ends: all that changes it or its HSMs goes one after another. Throws
   * CloudHsmResourceNotFoundException when the account has none of that id, or it is deleted.
   */
  forUpdate: async (account: AccountId, id: string): Promise<Cluster> => {
    const [row] = await db
      .select()
      .from(clusters)
      .where(and(eq(clusters.id, id as ClusterId), eq(clusters.account, account)))
      .for('update')
    if (!row || row.state === 'DELETED') throw notFound('Cluster', id)
    return row
  },

  /** Locks a cluster for a job, which knows it by id alone. */
  lock: async (id: ClusterId): Promise<Cluster | undefined> => {
    const [row] = await db.select().from(clusters).where(eq(clusters.id, id)).for('update')
    return row
  },

  insert: async (cluster: typeof clusters.$inferInsert): Promise<Cluster> => {
    const [row] = await db
      .insert(clusters)
      .values({ ...cluster, deadline: deadlineOf('cluster', cluster.state) })
      .returning()
    if (!row) throw new Error('the cluster was not inserted')
    return row
  },

  changeState: (id: ClusterId, change: Change<'cluster'>) => changeState(db, 'cluster', id, change),

  /** Columns other than the state. */
  update: async (id: ClusterId, set: Partial<Omit<Cluster, 'id' | 'state'>>): Promise<void> => {
    await db.update(clusters).set(set).where(eq(clusters.id, id))
  },

  /** A new number for the list of members. */
  nextMembershipEpoch: async (id: ClusterId): Promise<number> => {
    const [row] = await db
      .update(clusters)
      .set({ membershipEpoch: sql`${clusters.membershipEpoch} + 1` })
      .where(eq(clusters.id, id))
      .returning({ epoch: clusters.membershipEpoch })
    if (!row) throw notFound('Cluster', id)
    return row.epoch
  },

  /** ACTIVE clusters that are due for their daily backup: see backup-content.ts. */
  toBackUp: (now: Date, of?: ClusterId) => clustersToBackUp(db, now, of),
})
