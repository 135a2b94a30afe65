import { index, pgTable, text } from 'drizzle-orm/pg-core'
import type { AccountId, SubnetId, VpcId } from '../../provider-schema/ids.ts'

/** Where a subnet lies: configured, or assigned when it was first named, and kept. */
export const subnets = pgTable(
  'subnets',
  {
    id: text('id').$type<SubnetId>().primaryKey(),
    account: text('account').$type<AccountId>().notNull(),
    availabilityZone: text('availability_zone').notNull(),
    vpcId: text('vpc_id').$type<VpcId>().notNull(),
    /** IPv4 prefix, where it is known. */
    cidr: text('cidr'),
  },
  (table) => [index('subnets_by_account').on(table.account, table.id)],
)
