import { sql } from 'drizzle-orm'
import { bigint, check, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core'
import type { Directory } from '../../provider-schema/identity.ts'
import { instant } from './columns.ts'

/**
 * Accounts, users, roles, their access keys and policies: one document in one row, the same in every region. It is small,
 * is read and replaced as a whole, and secrets in it are sealed with a key that is not in any database.
 */
export const identity = pgTable(
  'identity',
  {
    id: integer('id').primaryKey().default(1),
    /** Rises with every change; of two regions that differ, the higher one is right. */
    revision: bigint('revision', { mode: 'number' }).notNull(),
    /** Random, of the change: two regions with the same stamp hold the same. */
    stamp: text('stamp').notNull(),
    directory: jsonb('directory').$type<Directory>().notNull(),
    changedAt: instant('changed_at').notNull(),
  },
  (table) => [check('identity_one_row', sql`${table.id} = 1`)],
)
