/** DeleteResourcePolicy: ends the sharing of a backup, and shows what was removed. Clusters made from it stay. */
import { operation } from './operation.ts'
import { ownBackup } from './resource-policy.ts'

export const deleteResourcePolicy = operation('DeleteResourcePolicy', async ({ input, caller, tx, ports, audit }) => {
  const backup = await ownBackup(input.ResourceArn, caller.account, tx, ports)
  await tx.backups.update(backup.id, { resourcePolicy: null, sharedWith: [] })
  await audit(backup.id)
  return { ResourceArn: backup.arn, Policy: backup.resourcePolicy ?? '{}' }
})
