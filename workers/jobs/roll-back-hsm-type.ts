/**
 * A change of the HSM type is taken back: ROLLBACK_IN_PROGRESS → ACTIVE of the old type (control-plane §2.4).
 *
 * limit → keep → resume → (choose → drain → swap → start) for one HSM after another → finish. HSMs of the old type that
 * were not swapped yet hold everything, since nothing could be written meanwhile, and those that come join them. Where
 * there is none left the first restores the backup from before the change, and the others join it: what was written after
 * the change is not in it (data-plane §8), but in the backup of the step `keep`.
 */
import { newBackupId } from '../../provider-schema/ids.ts'
import { jobs } from '../../provider-schema/jobs.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import {
  awaitReplacement,
  chooseSwap,
  DRAIN_MS,
  keepProgress,
  leavingHsm,
  migrationOf,
  SWAP_SECONDS,
  swapRows,
} from './hsm-swap.ts'
import { announceMembership } from './membership.ts'
import type { ManagementConnection } from './ports.ts'
import { beginBackup } from './take-backup.ts'
import { again, done, to, transition, type JobContext } from './transition.ts'
import { withHsm } from './with-hsm.ts'

/** For how long the rollback goes on before it says again what holds it up. */
const EXPIRED_MS = 300_000

export const rollBackHsmType = transition({
  kind: 'cluster',
  job: jobs.rollBackHsmType,
  idOf: (payload) => payload.clusterId,
  from: 'ROLLBACK_IN_PROGRESS',
  restsBefore: 'drain',
  secondsOnceRested: SWAP_SECONDS,
  first: 'limit',
  steps: {
    /** An HSM that does not answer may be the reason of the rollback: nobody waits for it. */
    limit: async (cluster, ctx) => {
      await announceMembership(ctx, cluster.id)
      return to('keep')
    },

    /** One backup of what the HSMs of the new type hold; that it fails does not keep the old type away. */
    keep: async (cluster, ctx) => {
      const { lastBackup } = migrationOf(cluster)
      if (lastBackup === undefined) return to('resume')
      if (lastBackup !== 'wanted') {
        const backup = await ctx.database.read.backups.find(lastBackup)
        return backup?.state === 'CREATE_IN_PROGRESS' ? again(50, 'The last backup is not ready.') : to('resume')
      }
      const [leaving] = await toGo(cluster, ctx)
      if (!leaving) return to('resume')
      await keepProgress(ctx, cluster, async (tx, now) => {
        if (now.lastBackup !== 'wanted') return {}
        const id = newBackupId()
        const { hsmType } = leaving
        await beginBackup(tx, { ...cluster, hsmType }, { id, createdAt: ctx.clock(), partOfChange: true })
        return { lastBackup: id }
      })
      return again(50, 'A last backup is made.')
    },

    /** Whom the change had drained before it was given up. */
    resume: async (cluster, ctx) => {
      for (const hsm of await ctx.database.read.hsms.ofCluster(cluster.id)) {
        if (!hsm.member || hsm.hsmType !== cluster.hsmType) continue
        await ifItAnswers(hsm, ctx, (connection) => connection.call('resume', {}))
      }
      return to('choose')
    },

    choose: (cluster, ctx) => chooseSwap(cluster, ctx, (hsms) => nextToGo(cluster, hsms)),

    drain: async (cluster, ctx) => {
      const old = await leavingHsm(cluster, ctx)
      if (old?.member) {
        await ifItAnswers(old, ctx, (connection) =>
          connection.call('drain', { timeoutMs: DRAIN_MS }, { timeoutMs: DRAIN_MS * 2 }),
        )
      }
      return to('swap')
    },

    swap: (cluster, ctx) => swapRows(cluster, ctx),

    /** One that cannot be started is replaced by another, as often as it takes. */
    start: (cluster, ctx) => {
      const next = async () => {
        await keepProgress(ctx, cluster, () => ({ swap: null }))
        return to('choose')
      }
      return awaitReplacement(cluster, ctx, { started: next, failed: next })
    },

    finish: async (cluster, ctx) => {
      await ctx.database.transaction(async (tx) => {
        const active = await tx.clusters.changeState(cluster.id, {
          from: 'ROLLBACK_IN_PROGRESS',
          to: 'ACTIVE',
          // Of a change that failed: why.
          ...(cluster.stateMessage !== null && { message: cluster.stateMessage }),
          set: { migration: null, hsmTypeRollbackExpiration: null },
        })
        if (active) await tx.clusters.nextMembershipEpoch(cluster.id)
      })
      await announceMembership(ctx, cluster.id)
      return done
    },
  },
  /** There is nowhere else to go: it shows what is wrong and goes on; the reconciler gives it another job. */
  expired: async (cluster, { database }, reason) => {
    await database.read.clusters.update(cluster.id, {
      stateMessage: `The rollback takes long. ${reason}`.slice(0, 300),
      deadline: new Date(Date.now() + EXPIRED_MS),
    })
  },
})

/**
 * First those of the right type that do not answer, so that nobody waits for their content, which the backup before the
 * change holds as well; then those of the wrong type.
 */
function nextToGo({ hsmType }: Cluster, hsms: readonly Hsm[]): Hsm | undefined {
  const silent = hsms.filter((hsm) => hsm.hsmType === hsmType && hsm.state === 'DEGRADED')
  return silent.find(({ member }) => member) ?? silent[0] ?? hsms.find((hsm) => hsm.hsmType !== hsmType)
}

async function toGo(cluster: Cluster, { database }: JobContext): Promise<Hsm[]> {
  return (await database.read.hsms.ofCluster(cluster.id)).filter((hsm) => hsm.member && hsm.hsmType !== cluster.hsmType)
}

async function ifItAnswers(
  hsm: Hsm,
  ctx: JobContext,
  work: (connection: ManagementConnection) => Promise<unknown>,
): Promise<void> {
  try {
    await withHsm(ctx, hsm, work)
  } catch (error) {
    ctx.log.warn({ hsmId: hsm.id, err: error }, 'an HSM could not be asked to take part in the rollback')
  }
}
