/** CopyBackupToRegion's job, in the source region: announce → send → finish. The destination shows READY at the end. */
import { jobs } from '../../provider-schema/jobs.ts'
import type { Copy } from '../../state/copies.ts'
import type { CopyAnnouncement } from './ports.ts'
import { done, Hopeless, to, transition, type JobContext } from './transition.ts'

export const copyBackup = transition({
  kind: 'copy',
  job: jobs.copyBackup,
  idOf: (payload) => payload.copyId,
  from: 'IN_PROGRESS',
  first: 'announce',
  // The copy is to be seen in the other region meanwhile.
  restsBefore: 'send',
  steps: {
    announce: async (copy, ctx) => {
      await announce(copy, ctx)
      return to('send')
    },

    /** From wherever the destination has it: a transfer that broke goes on where it broke. */
    send: async (copy, ctx) => {
      const { offset, done: complete } = await announce(copy, ctx)
      if (!complete) {
        const content = ctx.ports.backups.read(copy.backupId, offset)
        await ctx.ports.regions.sendCopy(copy.destinationRegion, copy.id, offset, content)
      }
      return to('finish')
    },

    finish: async (copy, { ports, database }) => {
      const { backupId } = await announce(copy, { ports, database })
      await ports.regions.finishCopy(copy.destinationRegion, copy.id)
      await database.read.copies.changeState(copy.id, {
        from: 'IN_PROGRESS',
        to: 'DONE',
        set: { destinationBackup: backupId },
      })
      return done
    },
  },
  expired: async (copy, { ports, database, log }, reason) => {
    await ports.regions.abandonCopy(copy.destinationRegion, copy.id, reason).catch((error: unknown) => {
      log.warn({ copyId: copy.id, err: error }, 'the destination was not told that a copy failed')
    })
    await database.read.copies.changeState(copy.id, { from: 'IN_PROGRESS', to: 'FAILED', message: reason })
  },
})

async function announce(copy: Copy, { ports, database }: Pick<JobContext, 'ports' | 'database'>) {
  const backup = await database.read.backups.find(copy.backupId)
  if (!backup || backup.size === null || backup.digest === null) {
    throw new Hopeless(`${copy.backupId} has no content any more.`)
  }
  const announcement: Omit<CopyAnnouncement, 'sourceRegion'> = {
    copyId: copy.id,
    account: copy.account,
    sourceBackup: backup.id,
    sourceCluster: backup.clusterId,
    hsmType: backup.hsmType,
    mode: backup.mode,
    createdAt: backup.createdAt.getTime(),
    tags: copy.tags,
    size: backup.size,
    digest: backup.digest,
    clusterCertificate: backup.clusterCertificate,
    trustAnchor: backup.trustAnchor,
  }
  return ports.regions.announceCopy(copy.destinationRegion, announcement)
}
