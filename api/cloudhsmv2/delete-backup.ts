/** DeleteBackup: a backup is gone in seven days, unless RestoreBackup comes before. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import type { AccountId, BackupId } from '../../provider-schema/ids.ts'
import type { Backup } from '../../state/backups.ts'
import type { Access } from '../../state/database.ts'
import { operation } from './operation.ts'
import { presentBackup } from './present.ts'

export const deleteBackup = operation('DeleteBackup', async ({ input, caller, tx, ports, now, audit }) => {
  const backup = await holdBackup(tx, caller.account, input.BackupId)
  if (backup.state !== 'READY') {
    throw invalidRequest(`The backup ${backup.id} is ${backup.state}; only a READY one can be deleted.`)
  }
  const living = await tx.backups.clusterLivingIn(backup.id)
  if (living !== undefined) {
    throw invalidRequest(
      `The backup ${backup.id} holds all that the cluster ${living} has: none of its HSMs is at work. ` +
        'Create an HSM in it, or delete the cluster, first.',
    )
  }
  const leaving = await tx.backups.beginRemoval(backup.id, now)
  if (!leaving) throw invalidRequest(`The backup ${backup.id} has just changed its state. Please try again.`)
  await audit(backup.id)
  return { Backup: presentBackup(leaving, ports.region) }
})

/**
 * Locks the backup's cluster and then the backup. What looks at all backups of a cluster, retention for instance, holds
 * the cluster likewise: two of them cannot each take what the other counts on.
 */
async function holdBackup(tx: Access, account: AccountId, id: BackupId): Promise<Backup> {
  const found = await tx.backups.find(id)
  if (found?.account === account) await tx.clusters.lock(found.clusterId)
  return tx.backups.forUpdate(account, id)
}
