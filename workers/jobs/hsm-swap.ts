/**
 * What a change of a cluster's HSM type and its rollback have in common: one HSM after another is replaced in its place by
 * one of the other type. How far the swap under way is stands in the cluster's row.
 */
import type { HsmSwap, HsmTypeMigration } from '../../provider-schema/hsm-type-migration.ts'
import { newHsmId } from '../../provider-schema/ids.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Access } from '../../state/database.ts'
import type { Hsm } from '../../state/hsms.ts'
import { replaceHsm } from './replace-hsm.ts'
import { again, Hopeless, to, type JobContext, type Next } from './transition.ts'

/** One swap may take so long before the whole change is given up; the launch of the new HSM has 300 of these seconds. */
export const SWAP_SECONDS = 15 * 60
const LOOK_AGAIN_MS = 50
/** How long requests under way, and peers that lag, may hold up a swap. */
export const DRAIN_MS = 5_000

/** Throws Hopeless in a cluster whose type does not change. */
export function migrationOf(cluster: Pick<Cluster, 'id' | 'migration'>): HsmTypeMigration {
  if (cluster.migration === null) throw new Hopeless(`the HSM type of ${cluster.id} does not change`)
  return cluster.migration
}

/** Changes the progress of the change, unless the cluster has meanwhile left the state. Gives whether it has not. */
export async function keepProgress(
  ctx: JobContext,
  { id, state }: Cluster,
  change: (tx: Access, now: HsmTypeMigration) => Promise<Partial<HsmTypeMigration>> | Partial<HsmTypeMigration>,
): Promise<void> {
  await ctx.database.transaction(async (tx) => {
    const now = await tx.clusters.lock(id)
    if (now?.state !== state) return
    const migration = migrationOf(now)
    await tx.clusters.update(id, { migration: { ...migration, ...(await change(tx, migration)) } })
  })
}

/** Notes something of the swap under way. */
export const keepSwap = (ctx: JobContext, cluster: Cluster, change: Partial<HsmSwap>) =>
  keepProgress(ctx, cluster, (_tx, { swap }) => ({ swap: swap && { ...swap, ...change } }))

/**
 * Begins the swap of the HSM that `pick` gives, of those of the cluster in the order in which they are shown; goes on with
 * one that has begun. While an HSM is still being started nothing is begun. Without any left it goes to `finish`.
 */
export async function chooseSwap(
  cluster: Cluster,
  ctx: JobContext,
  pick: (hsms: readonly Hsm[]) => Hsm | undefined,
): Promise<Next> {
  if (migrationOf(cluster).swap) return to('drain')
  const hsms = await ctx.database.read.hsms.ofCluster(cluster.id)
  if (hsms.some(({ state }) => state === 'CREATE_IN_PROGRESS')) return again(LOOK_AGAIN_MS, 'An HSM is being started.')
  const next = pick(hsms)
  if (!next) return to('finish')
  const begun = { hsmId: next.id, replacementId: newHsmId(), backupId: null, digest: null, validateBy: null }
  await keepProgress(ctx, cluster, async (tx, { swap }) => {
    // Each swap rests on its own, where the pace asks for it.
    if (!swap) {
      const deadline = new Date(Date.now() + SWAP_SECONDS * 1_000)
      await tx.clusters.update(cluster.id, { deadline, notBefore: null })
    }
    return { swap: swap ?? begun }
  })
  return to('drain')
}

/** The row of the HSM that goes; undefined when the new one stands in its place already. */
export async function leavingHsm(cluster: Cluster, ctx: JobContext): Promise<Hsm | undefined> {
  const { swap } = migrationOf(cluster)
  const hsm = swap ? await ctx.database.read.hsms.find(swap.hsmId) : undefined
  return hsm?.state === 'DELETED' ? undefined : hsm
}

/** Puts the new HSM in the place of the old one, once. */
export async function swapRows(cluster: Cluster, ctx: JobContext): Promise<Next> {
  const { swap } = migrationOf(cluster)
  if (!swap) return to('choose')
  await ctx.database.transaction(async (tx) => {
    const now = await tx.clusters.lock(cluster.id)
    const old = await tx.hsms.find(swap.hsmId)
    if (now?.state !== cluster.state || !old || (await tx.hsms.find(swap.replacementId))) return
    const { hsmType } = cluster
    const message = `It takes the place of ${old.id}.`
    await replaceHsm(tx, old, { id: swap.replacementId, hsmType, message, rested: true })
  })
  return to('start')
}

/** Waits for the launch of the new HSM; what to do when it is there, and when it failed, the caller says. */
export async function awaitReplacement(
  cluster: Cluster,
  ctx: JobContext,
  { started, failed }: { started: (hsm: Hsm) => Promise<Next>; failed: (why: string) => Promise<Next> },
): Promise<Next> {
  const { swap } = migrationOf(cluster)
  if (!swap) return to('choose')
  const hsm = await ctx.database.read.hsms.find(swap.replacementId)
  if (hsm?.state === 'CREATE_IN_PROGRESS') {
    return again(LOOK_AGAIN_MS, hsm.stepError ?? `${hsm.id} is being started.`)
  }
  return hsm?.state === 'ACTIVE' ? started(hsm) : failed(hsm?.stateMessage ?? `${swap.replacementId} is gone.`)
}
