/** Who there is, in one region: the document of accounts, and which version of it. */
import { eq } from 'drizzle-orm'
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

export const identityIn = (db: Sql) => ({
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
