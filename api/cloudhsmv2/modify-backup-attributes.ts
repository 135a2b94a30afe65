/**
 * ModifyBackupAttributes: exempts a backup from retention, or no longer. Also one that is pending deletion: AWS advises to
 * exempt it before it is restored, since retention would take it again at once.
 */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { operation } from './operation.ts'
import { presentBackup } from './present.ts'

export const modifyBackupAttributes = operation(
  'ModifyBackupAttributes',
  async ({ input: { BackupId, NeverExpires }, caller, tx, ports, audit }) => {
    const backup = await tx.backups.forUpdate(caller.account, BackupId)
    if (backup.state !== 'READY' && backup.state !== 'PENDING_DELETION') {
      throw invalidRequest(`The backup ${backup.id} is ${backup.state}; it cannot be modified now.`)
    }
    await tx.backups.update(backup.id, { neverExpires: NeverExpires })
    await audit(backup.id)
    return { Backup: presentBackup({ ...backup, neverExpires: NeverExpires }, ports.region) }
  },
)
