/**
 * ModifyCluster's HsmType: MODIFY_IN_PROGRESS → ACTIVE of the new type, or ROLLBACK_IN_PROGRESS (control-plane §2.4).
 *
 * check-clients → limit → (choose → drain → compare → back-up → swap → start → validate) for one HSM after another → finish. From the
 * first step on the HSMs refuse to change what is kept, so that the backup before each swap holds everything, and a
 * rollback loses nothing.
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
  keepSwap,
  leavingHsm,
  migrationOf,
  SWAP_SECONDS,
  swapRows,
} from './hsm-swap.ts'
import { clientsTooOld, OLDEST_CLIENTS } from './client-versions.ts'
import { announceMembership } from './membership.ts'
import { beginBackup } from './take-backup.ts'
import { RECOVERY } from './recovery.ts'
import { again, done, to, transition, type JobContext, type Next } from './transition.ts'
import { withHsm } from './with-hsm.ts'

export const migrateHsmType = transition({
  kind: 'cluster',
  job: jobs.migrateHsmType,
  idOf: (payload) => payload.clusterId,
  from: 'MODIFY_IN_PROGRESS',
  restsBefore: 'drain',
  secondsOnceRested: SWAP_SECONDS,
  first: 'check-clients',
  steps: {
    /** AWS's precondition: the HSMs know who was there. Reverts by itself when it does not hold, as at AWS. */
    'check-clients': async (cluster, ctx) => {
      const seen = []
      for (const hsm of await membersOf(cluster, ctx)) {
        seen.push(...((await withHsm(ctx, hsm, (connection) => connection.call('health', {}))).clients ?? []))
      }
      const why = clientsTooOld(seen, ctx.clock(), ctx.oldestClients ?? OLDEST_CLIENTS)
      return why === undefined ? to('limit') : rollBack(cluster, ctx, why)
    },

    /** Every HSM refuses writes before anything else happens. */
    limit: async (cluster, ctx) => {
      const told = await announceMembership(ctx, cluster.id)
      const deaf = (await membersOf(cluster, ctx)).filter(({ id }) => !told.includes(id))
      return deaf.length === 0 ? to('choose') : again(0, `${namesOf(deaf)} cannot be put into limited-write mode.`)
    },

    choose: (cluster, ctx) =>
      chooseSwap(cluster, ctx, (hsms) => hsms.find(({ hsmType }) => hsmType !== cluster.hsmType)),

    drain: async (cluster, ctx) => {
      const old = await leavingHsm(cluster, ctx)
      if (!old) return to('start')
      await withHsm(ctx, old, (connection) =>
        connection.call('drain', { timeoutMs: DRAIN_MS }, { timeoutMs: DRAIN_MS * 2 }),
      )
      return to('compare')
    },

    /** All HSMs must hold the same: then nothing goes with the one that goes. */
    compare: async (cluster, ctx) => {
      const digests = new Set<string>()
      for (const hsm of await membersOf(cluster, ctx)) digests.add(await digestOf(hsm, ctx))
      const [digest, ...others] = digests
      if (digest === undefined) return to('start')
      if (others.length > 0) return again(0, 'The HSMs of the cluster do not hold the same yet.')
      await keepSwap(ctx, cluster, { digest })
      return to('back-up')
    },

    'back-up': async (cluster, ctx) => {
      const { swap, from } = migrationOf(cluster)
      if (!swap) return to('choose')
      const backup = swap.backupId ? await ctx.database.read.backups.find(swap.backupId) : undefined
      if (backup?.state === 'CREATE_IN_PROGRESS') return again(50, 'The backup before the swap is not ready.')
      if (backup?.state === 'READY') {
        await keepProgress(ctx, cluster, (_tx, now) => ({ preMigrationBackup: now.preMigrationBackup ?? backup.id }))
        return to('swap')
      }
      await keepProgress(ctx, cluster, async (tx, now) => {
        if (!now.swap || now.swap.backupId !== swap.backupId) return {}
        const id = newBackupId()
        // What is in it fits an HSM of the old type.
        await beginBackup(tx, { ...cluster, hsmType: from }, { id, createdAt: ctx.clock(), partOfChange: true })
        return { swap: { ...now.swap, backupId: id } }
      })
      return again(50, backup ? 'The backup before the swap failed; another is made.' : 'A backup is made.')
    },

    swap: (cluster, ctx) => swapRows(cluster, ctx),

    start: (cluster, ctx) =>
      awaitReplacement(cluster, ctx, {
        started: async () => {
          const { validationSeconds } = ctx.recovery ?? RECOVERY
          await keepSwap(ctx, cluster, { validateBy: Date.now() + validationSeconds * 1_000 })
          return to('validate')
        },
        failed: (why) => rollBack(cluster, ctx, `A new HSM could not be started: ${why}`),
      }),

    /** The new HSM answers, is in sync with the others, and holds what the old one held. */
    validate: async (cluster, ctx) => {
      const { swap } = migrationOf(cluster)
      if (!swap) return to('choose')
      const wrong = await flawOf(cluster, swap, ctx).catch(textOf)
      if (wrong === undefined) {
        await keepProgress(ctx, cluster, () => ({ swap: null }))
        return to('choose')
      }
      if (Date.now() < (swap.validateBy ?? 0)) return again(0, wrong)
      return rollBack(cluster, ctx, `A new HSM did not prove itself: ${wrong}`)
    },

    finish: async (cluster, ctx) => {
      await ctx.database.transaction(async (tx) => {
        const active = await tx.clusters.changeState(cluster.id, { from: 'MODIFY_IN_PROGRESS', to: 'ACTIVE' })
        if (active) await tx.clusters.nextMembershipEpoch(cluster.id)
      })
      // Whom this does not reach the watcher tells: the list has a new number.
      await announceMembership(ctx, cluster.id)
      return done
    },
  },
  expired: async (cluster, ctx, reason) => {
    await rollBack(cluster, ctx, reason)
  },
})

async function membersOf(cluster: Cluster, { database }: JobContext): Promise<Hsm[]> {
  return (await database.read.hsms.ofCluster(cluster.id)).filter(({ member }) => member)
}

const namesOf = (hsms: readonly Hsm[]) => hsms.map(({ id }) => id).join(', ')

async function digestOf(hsm: Pick<Hsm, 'id' | 'listenIp'>, ctx: JobContext): Promise<string> {
  return withHsm(ctx, hsm, async (connection) => (await connection.call('inventory', {})).digest)
}

/** What is wrong with the HSM that has just come; undefined when nothing is. */
async function flawOf(
  cluster: Cluster,
  swap: { readonly replacementId: string; readonly digest: string | null },
  ctx: JobContext,
): Promise<string | undefined> {
  const members = await membersOf(cluster, ctx)
  const hsm = members.find(({ id }) => id === swap.replacementId)
  if (!hsm) return `${swap.replacementId} is no member of the cluster.`
  const { health, inventory } = await withHsm(ctx, hsm, async (connection) => ({
    health: await connection.call('health', {}),
    inventory: await connection.call('inventory', {}),
  }))
  if (health.phase !== 'active') return `${hsm.id} is ${health.phase}.`
  if (inventory.digest !== swap.digest) {
    return `${hsm.id} holds other content (${inventory.keys} keys, ${inventory.users} users).`
  }
  const apart = members.filter(({ id }) => id !== hsm.id && !health.peersInSync.includes(id))
  return apart.length === 0 ? undefined : `${hsm.id} is not in sync with ${namesOf(apart)}.`
}

/** That it does not answer is a flaw as well. */
const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** Takes the change back: from here on another job is at work. */
async function rollBack(cluster: Cluster, ctx: JobContext, reason: string): Promise<Next> {
  const { from } = migrationOf(cluster)
  ctx.log.warn({ clusterId: cluster.id, reason }, 'the change of the HSM type is rolled back')
  await ctx.database.transaction(async (tx) => {
    const now = await tx.clusters.lock(cluster.id)
    if (!now) return
    const leaving = await tx.clusters.changeState(cluster.id, {
      from: 'MODIFY_IN_PROGRESS',
      to: 'ROLLBACK_IN_PROGRESS',
      message: `The change to ${now.hsmType} is undone. ${reason}`,
      set: { hsmType: from, migration: { ...migrationOf(now), swap: null } },
    })
    if (!leaving) return
    await tx.clusters.nextMembershipEpoch(cluster.id)
    await tx.enqueue(jobs.rollBackHsmType, { clusterId: cluster.id })
  })
  return done
}
