/**
 * What time alone brings about, by the service clock: backups whose days are over go to PENDING_DELETION, those whose
 * seven days are over are removed, and a cluster without a backup of the last day gets one.
 *
 * Each part finds out from the rows what is due, and does it by compare-and-set or with the cluster held: it may run
 * twice, several at once, or be killed anywhere.
 */
import { newBackupId } from '../../provider-schema/ids.ts'
import { beginBackup } from './take-backup.ts'
import type { JobContext } from './transition.ts'
import { stopped } from './until-stopped.ts'

type HousekeepingContext = Pick<JobContext, 'database' | 'ports' | 'log' | 'clock' | 'signal'>

/** Does all that is due now. Throws when the database or the store does not answer; what was done until then stays. */
export async function keepHouse(ctx: HousekeepingContext): Promise<void> {
  const now = ctx.clock()
  await endRetention(ctx, now)
  await removeBackups(ctx, now)
  await backUpDaily(ctx, now)
}

async function endRetention({ database, log, signal }: HousekeepingContext, now: Date): Promise<void> {
  const candidates = Map.groupBy(await database.read.backups.expired(now), (each) => each.clusterId)
  for (const clusterId of candidates.keys()) {
    if (stopped(signal)) return
    await database.transaction(async (tx) => {
      // With the cluster held its newest backup stays the newest, and nobody deletes that one meanwhile.
      await tx.clusters.lock(clusterId)
      for (const { id } of (await tx.backups.expired(now)).filter((each) => each.clusterId === clusterId)) {
        if (await tx.backups.beginRemoval(id, now)) log.info({ backupId: id }, 'the retention of a backup is over')
      }
    })
  }
}

/** The row first, so that nobody can restore what is not there any more; then the bytes; then the mark that they are gone. */
async function removeBackups({ database, ports, log, signal }: HousekeepingContext, now: Date): Promise<void> {
  for (const { id, state } of await database.read.backups.toRemove(now)) {
    if (stopped(signal)) return
    if (state === 'PENDING_DELETION') {
      const gone = await database.transaction((tx) => tx.backups.remove(id, now))
      if (!gone) continue
    }
    await ports.backups.remove(id)
    await database.read.backups.update(id, { size: null, digest: null })
    log.info({ backupId: id }, 'a backup was removed for good')
  }
}

async function backUpDaily({ database, log, signal }: HousekeepingContext, now: Date): Promise<void> {
  for (const clusterId of await database.read.clusters.toBackUp(now)) {
    if (stopped(signal)) return
    await database.transaction(async (tx) => {
      const cluster = await tx.clusters.lock(clusterId)
      // Another worker may have begun it since.
      if (!cluster || !(await tx.clusters.toBackUp(now)).includes(clusterId)) return
      const id = newBackupId()
      await beginBackup(tx, cluster, { id, createdAt: now, partOfChange: false })
      log.info({ clusterId, backupId: id }, 'the daily backup of a cluster begins')
    })
  }
}
