/** RestoreBackup: takes back DeleteBackup, or what retention began, while its seven days last. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { operation } from './operation.ts'
import { presentBackup } from './present.ts'

export const restoreBackup = operation('RestoreBackup', async ({ input, caller, tx, ports, now, audit }) => {
  const backup = await tx.backups.forUpdate(caller.account, input.BackupId)
  if (backup.state !== 'PENDING_DELETION') {
    throw invalidRequest(`The backup ${backup.id} is ${backup.state}; only a PENDING_DELETION one can be restored.`)
  }
  // It is removed at any moment now: nobody is told that it is kept and then loses it.
  if (backup.deleteAt && backup.deleteAt <= now) {
    throw invalidRequest(`The backup ${backup.id} was to be kept until ${backup.deleteAt.toISOString()} only.`)
  }
  const restored = await tx.backups.changeState(backup.id, {
    from: 'PENDING_DELETION',
    to: 'READY',
    set: { deleteAt: null },
  })
  if (!restored) throw invalidRequest(`The backup ${backup.id} has just changed its state. Please try again.`)
  await audit(backup.id)
  return { Backup: presentBackup(restored, ports.region) }
})
