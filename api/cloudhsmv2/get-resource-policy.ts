/** GetResourcePolicy: the document that shares a backup; `{}` when there is none (recorded). */
import { notFound } from '../../provider-schema/errors.ts'
import { query } from './operation.ts'
import { backupIn } from './resource-policy.ts'

export const getResourcePolicy = query('GetResourcePolicy', async ({ input, caller, ports, read }) => {
  const { id, owner, region } = backupIn(input.ResourceArn)
  const backup = await read.backups.sharing(id)
  const isHere = region === ports.region && owner === caller.account && backup?.account === owner
  if (!isHere || backup.state === 'DELETED') throw notFound('Backup', id)
  return { Policy: backup.resourcePolicy ?? '{}' }
})
