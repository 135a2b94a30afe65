import { sql } from 'drizzle-orm'
import { bigint, check, integer, pgTable } from 'drizzle-orm/pg-core'

/** By how much the service clock of the region is ahead of real time: one row, or none while it is not. */
export const serviceClock = pgTable(
  'service_clock',
  {
    id: integer('id').primaryKey().default(1),
    /** Milliseconds. */
    ahead: bigint('ahead', { mode: 'number' }).notNull(),
  },
  (table) => [
    check('service_clock_once', sql`${table.id} = 1`),
    check('service_clock_forward', sql`${table.ahead} >= 0`),
  ],
)
