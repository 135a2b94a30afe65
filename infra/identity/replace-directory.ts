/** The one way in which a region's accounts are replaced: with what that changes in the region's trail. */
import { directoryEntries, type DirectoryChanged } from '../../api/trail/directory-events.ts'
import type { Access } from '../../state/database.ts'
import type { StoredDirectory } from '../../state/identity.ts'

/** Part of the caller's transaction, which holds the lock of the directory. */
export async function replaceDirectory(
  tx: Access,
  was: StoredDirectory,
  next: StoredDirectory,
  change: Omit<DirectoryChanged, 'before' | 'after'>,
): Promise<void> {
  await tx.identity.replace(next, change.at)
  const entries = directoryEntries({ before: was.directory, after: next.directory, ...change })
  for (const entry of entries) await tx.audit.append(entry)
}
