/**
 * CopyBackupToRegion's job, in the source region: announce → send → finish. The destination shows READY at the end.
 *
 * The destination compares size and digest, and throws away what does not fit: then everything is sent again, from a
 * source that was found intact; MOST_SENDS times in all. Each time has steps of its own, so that the count is in the row
 * and a repeated step counts nothing twice.
 */
import { jobs } from '../../provider-schema/jobs.ts'
import type { Copy } from '../../state/copies.ts'
import { requireIntact } from './intact-backup.ts'
import type { CopyAnnouncement } from './ports.ts'
import { done, Hopeless, to, transition, type JobContext, type Next } from './transition.ts'

/** TLS lets no damage of the network's through: what is damaged more often is an end of it, and somebody must look. */
const MOST_SENDS = 3

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

    send: (copy, ctx) => send(copy, ctx, 'finish'),
    finish: (copy, ctx) => finish(copy, ctx, 'send-again'),
    'send-again': (copy, ctx) => send(copy, ctx, 'finish-again'),
    'finish-again': (copy, ctx) => finish(copy, ctx, 'send-last'),
    'send-last': (copy, ctx) => send(copy, ctx, 'finish-last'),
    'finish-last': (copy, ctx) => finish(copy, ctx),
  },
  expired: async (copy, { ports, database, log }, reason) => {
    await ports.regions.abandonCopy(copy.destinationRegion, copy.id, reason).catch((error: unknown) => {
      log.warn({ copyId: copy.id, err: error }, 'the destination was not told that a copy failed')
    })
    await database.read.copies.changeState(copy.id, { from: 'IN_PROGRESS', to: 'FAILED', message: reason })
  },
})

/** From wherever the destination has it: a transfer that broke goes on where it broke. */
async function send(copy: Copy, ctx: JobContext, next: string): Promise<Next> {
  const { backup, offset, done: complete } = await announce(copy, ctx)
  if (!complete) {
    await requireIntact(backup, ctx.ports)
    const content = ctx.ports.backups.read(copy.backupId, offset)
    await ctx.ports.regions.sendCopy(copy.destinationRegion, copy.id, offset, content)
  }
  return to(next)
}

/**
 * A refusal for what arrived makes the destination forget it: the repetition of this step finds it behind, and goes back
 * to sending, while there is a step for that.
 */
async function finish(copy: Copy, ctx: JobContext, sendAgain?: string): Promise<Next> {
  const { ports, database, log } = ctx
  const { backupId, offset, done: complete } = await announce(copy, ctx)
  if (!complete) {
    if (sendAgain === undefined) {
      throw new Hopeless(`What arrived in ${copy.destinationRegion} was not what was sent, ${MOST_SENDS} times.`)
    }
    log.warn(
      { copyId: copy.id, offset, step: sendAgain },
      'the destination of a copy has not all of it: it is sent again',
    )
    return to(sendAgain)
  }
  await ports.regions.finishCopy(copy.destinationRegion, copy.id)
  await database.read.copies.changeState(copy.id, {
    from: 'IN_PROGRESS',
    to: 'DONE',
    set: { destinationBackup: backupId },
  })
  return done
}

/** Tells the destination what is to come, or came. Gives what it has of it, and the row of the source. */
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
  return { backup, ...(await ports.regions.announceCopy(copy.destinationRegion, announcement)) }
}
