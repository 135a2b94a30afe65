/** Clusters and backups under the one name that the tag operations use. */
import { notFound } from '../../provider-schema/errors.ts'
import type { AccountId, BackupId, ClusterId } from '../../provider-schema/ids.ts'
import type { Access } from '../../state/database.ts'

type Tags = Readonly<Record<string, string>>

export interface Taggable {
  readonly tags: Tags
  readonly store: (tags: Tags) => Promise<void>
}

/** Locks the resource until the transaction ends. Throws CloudHsmResourceNotFoundException. */
export async function taggableForUpdate(tx: Access, account: AccountId, id: string): Promise<Taggable> {
  if (id.startsWith('cluster-')) {
    const cluster = await tx.clusters.forUpdate(account, id)
    return { tags: cluster.tags, store: (tags) => tx.clusters.update(cluster.id, { tags }) }
  }
  const backup = await tx.backups.forUpdate(account, id)
  return { tags: backup.tags, store: (tags) => tx.backups.update(backup.id, { tags }) }
}

/** Throws CloudHsmResourceNotFoundException. */
export async function tagsOfResource(read: Access, account: AccountId, id: string): Promise<Tags> {
  const isCluster = (name: string): name is ClusterId => name.startsWith('cluster-')
  const isBackup = (name: string): name is BackupId => name.startsWith('backup-')
  const found = isCluster(id) ? await read.clusters.find(id) : isBackup(id) ? await read.backups.find(id) : undefined
  if (!found || found.account !== account || found.state === 'DELETED') throw notFound('Resource', id)
  return found.tags
}
