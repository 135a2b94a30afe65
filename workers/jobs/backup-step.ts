/** A step that launch-hsm and delete-hsm share: have a backup of the cluster made, and wait for it. */
import { newBackupId } from '../../provider-schema/ids.ts'
import type { Hsm } from '../../state/hsms.ts'
import { beginBackup } from './take-backup.ts'
import { again, type JobContext, type Next } from './transition.ts'

const LOOK_AGAIN_MS = 50

/**
 * Begins one backup for this transition of the HSM, remembered in its row, and gives `next` once it is READY. A backup
 * that failed is begun anew, until the transition's deadline.
 */
export async function backUpFirst<Step extends string>(hsm: Hsm, ctx: JobContext, next: Next<Step>): Promise<Next> {
  const existing = hsm.backupId ? await ctx.database.read.backups.find(hsm.backupId) : undefined
  if (existing?.state === 'READY') return next
  if (existing?.state === 'CREATE_IN_PROGRESS')
    return again(LOOK_AGAIN_MS, 'The backup before the change is not ready.')
  await ctx.database.transaction(async (tx) => {
    const cluster = await tx.clusters.lock(hsm.clusterId)
    const now = await tx.hsms.find(hsm.id)
    if (!cluster || !now || now.backupId !== hsm.backupId) return
    const backupId = newBackupId()
    await beginBackup(tx, cluster, { id: backupId, createdAt: ctx.clock(), partOfChange: true })
    await tx.hsms.update(hsm.id, { backupId })
  })
  return again(LOOK_AGAIN_MS, existing ? 'The backup before the change failed; another is made.' : 'A backup is made.')
}
