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

/**
 * Does all that is due now. What cannot be done keeps nothing else from being done: it throws at the end, when the
 * database or the store did not answer.
 */
export async function keepHouse(ctx: HousekeepingContext): Promise<void> {
  const now = ctx.clock()
  // Backups first: what is overdue for removal may be much, after a change of a policy or a move of the clock.
  await each([backUpDaily, endRetention, removeBackups], ctx, (part) => part(ctx, now))
}

async function endRetention(ctx: HousekeepingContext, now: Date): Promise<void> {
  const { database, log } = ctx
  const clusterIds = new Set((await database.read.backups.expired(now)).map(({ clusterId }) => clusterId))
  await each(clusterIds, ctx, (clusterId) =>
    database.transaction(async (tx) => {
      // With the cluster held its newest backup stays the newest, and nobody deletes that one meanwhile.
      await tx.clusters.lock(clusterId)
      for (const { id } of await tx.backups.expired(now, clusterId)) {
        if (await tx.backups.beginRemoval(id, now)) log.info({ backupId: id }, 'the retention of a backup is over')
      }
    }),
  )
}

/** The row first, so that nobody can restore what is not there any more; then the bytes; then the mark that they are gone. */
async function removeBackups(ctx: HousekeepingContext, now: Date): Promise<void> {
  const { database, ports, log } = ctx
  await each(await database.read.backups.toRemove(now), ctx, async ({ id, state }) => {
    if (state === 'PENDING_DELETION') {
      const gone = await database.transaction((tx) => tx.backups.remove(id, now))
      if (!gone) return
    }
    await ports.backups.remove(id)
    await database.read.backups.update(id, { size: null, digest: null })
    log.info({ backupId: id }, 'a backup was removed for good')
  })
}

async function backUpDaily(ctx: HousekeepingContext, now: Date): Promise<void> {
  const { database, log } = ctx
  await each(await database.read.clusters.toBackUp(now), ctx, (clusterId) =>
    database.transaction(async (tx) => {
      const cluster = await tx.clusters.lock(clusterId)
      // Another worker may have begun it since.
      if (!cluster || (await tx.clusters.toBackUp(now, clusterId)).length === 0) return
      const id = newBackupId()
      await beginBackup(tx, cluster, { id, createdAt: now, partOfChange: false })
      log.info({ clusterId, backupId: id }, 'the daily backup of a cluster begins')
    }),
  )
}

/** Does it for one after the other, until the signal; then throws what the first that failed threw. */
async function each<Item>(
  items: Iterable<Item>,
  { signal }: HousekeepingContext,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = []
  for (const item of items) {
    if (stopped(signal)) break
    await work(item).catch((error: unknown) => failures.push(error))
  }
  if (failures.length > 0) throw failures[0]
}
