/** PutResourcePolicy: shares a backup with other accounts, or with others than before. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { operation } from './operation.ts'
import { consumersOf, ownBackup } from './resource-policy.ts'

export const putResourcePolicy = operation('PutResourcePolicy', async ({ input, caller, tx, ports, audit }) => {
  const { Policy } = input
  if (Policy === undefined) throw invalidRequest('The document must be given as Policy.')
  const backup = await ownBackup(input.ResourceArn, caller.account, tx, ports)
  if (backup.state !== 'READY') {
    throw invalidRequest(`The backup ${backup.id} is ${backup.state}; only a READY one can be shared.`)
  }
  await tx.backups.update(backup.id, { resourcePolicy: Policy, sharedWith: consumersOf(Policy, backup.arn) })
  await audit(backup.id)
  return { ResourceArn: backup.arn, Policy }
})
