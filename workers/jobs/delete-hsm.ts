/**
 * DeleteHsm's job: DELETE_IN_PROGRESS → gone.
 *
 * drain → back-up (of an active cluster) → leave → zeroise → remove. The HSM takes no more requests before the backup is
 * made, so that nothing it acknowledged can miss it; nothing is destroyed before the backup is READY.
 */
import { jobs } from '../../provider-schema/jobs.ts'
import type { Hsm } from '../../state/hsms.ts'
import { ConnectionLost } from '../hsm/protocol/errors.ts'
import { backUpFirst } from './backup-step.ts'
import { announceMembership, setMember } from './membership.ts'
import { hostOf } from './placement.ts'
import { done, to, transition, type JobContext } from './transition.ts'
import { withHsm } from './with-hsm.ts'

/** How long requests under way, and peers that lag, may hold up the removal. */
const DRAIN_MS = 5_000

export const deleteHsm = transition({
  kind: 'hsm',
  job: jobs.deleteHsm,
  idOf: (payload) => payload.hsmId,
  from: 'DELETE_IN_PROGRESS',
  first: 'drain',
  steps: {
    drain: async (hsm, ctx) => {
      if (hsm.member) {
        await ifItAnswers(hsm, ctx, 'drain', (connection) =>
          connection.call('drain', { timeoutMs: DRAIN_MS }, { timeoutMs: DRAIN_MS * 2 }),
        )
      }
      return to('back-up')
    },

    'back-up': async (hsm, ctx) => {
      const cluster = await ctx.database.read.clusters.find(hsm.clusterId)
      const active = cluster?.state === 'ACTIVE' || cluster?.state === 'DEGRADED'
      // An HSM that never became a member holds nothing of the cluster.
      if (!active || !hsm.member) return to('leave')
      return backUpFirst(hsm, ctx, to('leave'))
    },

    leave: async (hsm, ctx) => {
      await setMember(ctx, hsm, false)
      await announceMembership(ctx, hsm.clusterId, [hsm.id])
      return to('zeroise')
    },

    /** An HSM that does not answer any more loses its keys with its directory, in the next step. */
    zeroise: async (hsm, ctx) => {
      await ifItAnswers(hsm, ctx, 'zeroise', (connection) => connection.call('zeroise', {}))
      return to('remove')
    },

    remove: async (hsm, ctx) => {
      const { database, clock } = ctx
      await hostOf(ctx, hsm)?.remove(hsm.id)
      // Of a replacement that never came to be: what it was to replace may still be there.
      if (hsm.replaces !== null) await hostOf(ctx, await database.read.hsms.find(hsm.replaces))?.remove(hsm.replaces)
      await database.read.hsms.changeState(hsm.id, {
        from: 'DELETE_IN_PROGRESS',
        to: 'DELETED',
        set: { deletedAt: clock() },
      })
      return done
    },
  },
  expired: async (hsm, ctx, reason) => {
    await ifItAnswers(hsm, ctx, 'serve again', (connection) => connection.call('resume', {}))
    await ctx.database.read.hsms.changeState(hsm.id, {
      from: 'DELETE_IN_PROGRESS',
      to: 'DEGRADED',
      message: `HSM deletion failed; nothing was destroyed that is not backed up. Please delete it again. ${reason}`,
      set: { backupId: null },
    })
  },
})

type Work = Parameters<typeof withHsm<unknown>>[2]

async function ifItAnswers(hsm: Hsm, ctx: JobContext, what: string, work: Work): Promise<void> {
  try {
    await withHsm(ctx, hsm, work)
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error
    ctx.log.warn({ hsmId: hsm.id, err: error }, `an HSM could not be asked to ${what}`)
  }
}
