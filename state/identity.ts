/** Who there is, in one region: the document of accounts, and which version of it. */
import { eq, sql } from 'drizzle-orm'
import { identity } from '../migrations/schema.ts'
import { directory, type Directory } from '../provider-schema/identity.ts'
import type { Sql } from './database.ts'

export interface IdentityVersion {
  readonly revision: number
  readonly stamp: string
}
export interface StoredDirectory extends IdentityVersion {
  readonly directory: Directory
}

const NOBODY: StoredDirectory = { revision: 0, stamp: '', directory: { accounts: [] } }

/** Any number: who changes the directory holds this lock until the transaction ends. */
const CHANGE_LOCK = 4_570_003

export const identityIn = (db: Sql) => ({
  lock: async (): Promise<void> => {
    await db.execute(sql`select pg_advisory_xact_lock(${CHANGE_LOCK})`)
  },

  /** Which version there is: asked often. */
  version: async (): Promise<IdentityVersion> => {
    const [row] = await db.select({ revision: identity.revision, stamp: identity.stamp }).from(identity)
    return row ?? NOBODY
  },

  load: async (): Promise<StoredDirectory> => {
    const [row] = await db.select().from(identity).where(eq(identity.id, 1))
    return row ? { revision: row.revision, stamp: row.stamp, directory: directory.parse(row.directory) } : NOBODY
  },

  replace: async (next: StoredDirectory, changedAt: Date): Promise<void> => {
    const content = { ...next, directory: directory.parse(next.directory), changedAt }
    await db.insert(identity).values(content).onConflictDoUpdate({ target: identity.id, set: content })
  },
})
