/**
 * What becomes of an HSM that does not answer: it is shown DEGRADED, and when it cannot come back, replaced.
 *
 * | what is known                                              | shown       | replaced after  |
 * | ---------------------------------------------------------- | ----------- | --------------- |
 * | its keys are gone (tampered, zeroised)                     | at once     | at once         |
 * | its directory is gone, or its store cannot be opened       | at once     | `lostSeconds`   |
 * | its host is silent as well                                 | after 5 s   | `lostSeconds`   |
 * | nothing but its silence: it hangs, or cannot be reached    | after 5 s   | `silentSeconds` |
 *
 * Whether a host is silent decides nothing as long as the HSM itself answers: it does not need its host. What a silent
 * host has is given up only when another host of the zone has room, since it may come back with everything.
 *
 * A replacement that could not be launched is replaced after `lostSeconds` as well.
 *
 * An HSM that is silent may hold what nobody else has, and come back with it: the last one of a cluster is not replaced for
 * its silence alone. A process that crashed is none of this: its host restarts it within a second.
 */
import { newHsmId } from '../../provider-schema/ids.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import { hostOf } from './placement.ts'
import type { HsmCondition } from './ports.ts'
import { RECOVERY } from './recovery.ts'
import { replaceHsm } from './replace-hsm.ts'
import type { JobContext } from './transition.ts'

type Context = Pick<JobContext, 'database' | 'ports' | 'log' | 'recovery'>

/** A restart of a crashed process takes less than this: only what lasts longer is shown. */
export const SILENCE_MS = 5_000

/** What its host says of an HSM; `running` of one that has none yet. */
export async function conditionOf(ctx: Context, hsm: Pick<Hsm, 'id' | 'hostId'>): Promise<HsmCondition> {
  return (await hostOf(ctx, hsm)?.condition(hsm.id)) ?? { kind: 'running' }
}

/** Acts on an HSM that has not answered for so long, in milliseconds. */
export async function recover(ctx: Context, hsm: Hsm, cluster: Cluster, silentMs: number): Promise<void> {
  const condition = await conditionOf(ctx, hsm)
  await show(ctx, hsm, cluster, condition, silentMs)
  if (!isReplaceable(cluster)) return
  const { lostSeconds, silentSeconds } = ctx.recovery ?? RECOVERY
  if (condition.kind === 'zeroised') return replaceLost(ctx, hsm, condition.why)
  if (condition.kind === 'lost' && silentMs >= lostSeconds * 1_000) return replaceLost(ctx, hsm, condition.why)
  const isCutOff = condition.kind === 'cut-off'
  const patience = hsm.member && !isCutOff ? silentSeconds : lostSeconds
  if (silentMs < patience * 1_000 || hsm.state !== 'DEGRADED') return
  if (hsm.member && (await isLast(ctx, hsm))) return
  if (isCutOff && !(await ctx.database.read.hosts.leastLoaded(hsm.availabilityZone))) return
  await replaceLost(ctx, hsm, isCutOff ? condition.why : 'It did not answer any more.')
}

/** While the cluster's own job changes its HSMs that job deals with what fails; without a backup there is no other HSM. */
function isReplaceable({ state }: Cluster): boolean {
  return state === 'ACTIVE' || state === 'DEGRADED' || state === 'UNINITIALIZED'
}

async function show(ctx: Context, hsm: Hsm, cluster: Cluster, condition: HsmCondition, silentMs: number) {
  const isKnown = condition.kind === 'lost' || condition.kind === 'zeroised'
  if (hsm.state !== 'ACTIVE' || (!isKnown && silentMs < SILENCE_MS)) return
  ctx.log.warn({ hsmId: hsm.id, condition }, 'an HSM does not answer')
  const message = isKnown
    ? `${condition.why} ${await whatIsLost(ctx, hsm, cluster)}`.trim()
    : condition.kind === 'cut-off'
      ? `The HSM does not answer. ${condition.why}`
      : silenceOf(condition)
  await ctx.database.read.hsms.changeState(hsm.id, { from: 'ACTIVE', to: 'DEGRADED', message })
}

const silenceOf = ({ why }: { readonly why?: string }) =>
  ['The HSM does not answer.', why, 'Its host restarts it; its keys are kept.'].filter(Boolean).join(' ')

/** Where the content of a lost HSM comes from, and what does not come back. */
async function whatIsLost(ctx: Context, hsm: Hsm, cluster: Cluster): Promise<string> {
  if (!isReplaceable(cluster)) {
    return cluster.state === 'INITIALIZED' ? 'The cluster has no backup yet. Please delete it and create another.' : ''
  }
  if (!(await isLast(ctx, hsm))) return 'It is replaced; the other HSMs of the cluster hold its content.'
  if (cluster.state === 'UNINITIALIZED') return 'It is replaced; the next HSM makes another CSR.'
  const { backups } = ctx.database.read
  const backup = await backups.newestReady(cluster.id, cluster.hsmType)
  if (backup) {
    const at = backup.createdAt.toISOString()
    return `It was the only one: what was written since the backup ${backup.id} of ${at} is lost. It is replaced.`
  }
  const origin = cluster.sourceBackupId
  return `It was the only one: ${origin === null ? 'there is no backup' : `what was written since ${origin} is lost`}. It is replaced.`
}

/** Whether no other HSM of the cluster is known to have its content. */
async function isLast({ database }: Context, hsm: Hsm): Promise<boolean> {
  const all = await database.read.hsms.ofCluster(hsm.clusterId)
  return !all.some((other) => other.id !== hsm.id && other.member && other.state === 'ACTIVE')
}

async function replaceLost(ctx: Context, { id, clusterId }: Hsm, why: string): Promise<void> {
  await ctx.database.transaction(async (tx) => {
    const cluster = await tx.clusters.lock(clusterId)
    const hsm = await tx.hsms.find(id)
    if (!cluster || !isReplaceable(cluster) || hsm?.state !== 'DEGRADED') return
    // The next first HSM makes another key pair: this request for a certificate must not be signed any more.
    if (cluster.state === 'UNINITIALIZED') await tx.clusters.update(clusterId, NO_CERTIFICATES)
    // The reason stays to be read while the new one is launched: it may be that something is lost.
    const message = `It takes the place of ${id}. ${hsm.stateMessage ?? why}`
    const hsmType = cluster.hsmType
    const replacement = await replaceHsm(tx, hsm, { id: newHsmId(), hsmType, message })
    ctx.log.warn({ hsmId: id, replacement: replacement?.id, why }, 'an HSM is replaced')
  })
}

const NO_CERTIFICATES = {
  clusterCsr: null,
  hsmCertificate: null,
  awsHardwareCertificate: null,
  manufacturerHardwareCertificate: null,
} as const
