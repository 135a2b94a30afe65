/** Copies of backups that this region sends to others. */
import { copies } from '../migrations/schema.ts'
import { changeState, deadlineOf, findRow, type Change } from './change-state.ts'
import type { CopyId } from '../provider-schema/ids.ts'
import type { Sql } from './database.ts'

export type Copy = typeof copies.$inferSelect

export const copiesIn = (db: Sql) => ({
  find: (id: CopyId) => findRow(db, 'copy', id),
  insert: async (copy: typeof copies.$inferInsert): Promise<Copy> => {
    const [row] = await db
      .insert(copies)
      .values({ ...copy, deadline: deadlineOf('copy', copy.state) })
      .returning()
    if (!row) throw new Error('the copy was not inserted')
    return row
  },
  changeState: (id: CopyId, change: Change<'copy'>) => changeState(db, 'copy', id, change),
})
