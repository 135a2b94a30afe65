/** Subnets: where each lies. */
import { asc, eq, inArray } from 'drizzle-orm'
import { subnets } from '../migrations/schema.ts'
import type { AccountId, SubnetId } from '../provider-schema/ids.ts'
import type { Sql } from './database.ts'

export type Subnet = typeof subnets.$inferSelect

export const subnetsIn = (db: Sql) => ({
  /** Those of the given ids that are known, whichever account they belong to. */
  find: (ids: readonly SubnetId[]): Promise<Subnet[]> =>
    db
      .select()
      .from(subnets)
      .where(inArray(subnets.id, [...ids])),

  ofAccount: (account: AccountId): Promise<Subnet[]> =>
    db.select().from(subnets).where(eq(subnets.account, account)).orderBy(asc(subnets.id)),

  /** Remembers a subnet; gives the row that stands, which is another's when somebody was faster. */
  remember: async (subnet: typeof subnets.$inferInsert): Promise<Subnet> => {
    await db.insert(subnets).values(subnet).onConflictDoNothing()
    const [row] = await db.select().from(subnets).where(eq(subnets.id, subnet.id))
    if (!row) throw new Error('the subnet was not remembered')
    return row
  },
})
