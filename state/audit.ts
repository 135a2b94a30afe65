/** The trail of what was asked for. Rows are added, never changed. */
import { audit } from '../migrations/schema.ts'
import type { Sql } from './database.ts'

export type AuditEntry = Omit<typeof audit.$inferInsert, 'seq'>

export const auditIn = (db: Sql) => ({
  append: async (entry: AuditEntry): Promise<void> => {
    await db.insert(audit).values(entry)
  },
})
