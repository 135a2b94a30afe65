import { sql } from 'drizzle-orm'
import { check, integer, pgTable, text } from 'drizzle-orm/pg-core'

/** The fleet whose HSMs and backups this database tells of: one row, or none before its first start. */
export const fleet = pgTable(
  'fleet',
  {
    id: integer('id').primaryKey().default(1),
    /** SHA-256 of the certificate of its root, in hexadecimal. */
    root: text('root').notNull(),
  },
  (table) => [check('fleet_once', sql`${table.id} = 1`)],
)
