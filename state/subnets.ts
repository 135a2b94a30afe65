/** Subnets: where each lies. */
import { asc, eq, inArray } from 'drizzle-orm'
import type { Pool } from 'pg'
import { subnets } from '../migrations/schema.ts'
import type { AccountId, SubnetId, VpcId } from '../provider-schema/ids.ts'
import type { Sql } from './database.ts'

export type Subnet = typeof subnets.$inferSelect

export const subnetsIn = (db: Sql) => ({
  /** Those of the given ids that are known, whichever account they belong to. */
  find: (ids: readonly SubnetId[]): Promise<Subnet[]> =>
    db
      .select()
      .from(subnets)
      .where(inArray(subnets.id, [...ids])),

  /** The VPC of an account's first subnet; undefined when it has none. */
  vpcOf: async (account: AccountId): Promise<VpcId | undefined> => {
    const [first] = await db
      .select({ vpcId: subnets.vpcId })
      .from(subnets)
      .where(eq(subnets.account, account))
      .orderBy(asc(subnets.id))
      .limit(1)
    return first?.vpcId
  },
})

export const KNOWN_SUBNETS = `
  select id, account, availability_zone as "availabilityZone", vpc_id as "vpcId", cidr
  from subnets where id = any($1)`

/** As `find`, prepared by name: for the clusters that are made. */
export async function knownSubnets(pool: Pool, ids: readonly SubnetId[]): Promise<Subnet[]> {
  const { rows } = await pool.query<Subnet>({ name: 'known_subnets', text: KNOWN_SUBNETS, values: [ids] })
  return rows
}
