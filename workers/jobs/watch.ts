/**
 * The watcher asks every HSM how it is, and makes the rows say so: a cluster that a client activated becomes ACTIVE, an
 * HSM that does not answer DEGRADED, one that answers again ACTIVE. An HSM that missed a list of members gets the newest.
 *
 * It only ever follows what HSMs say; it commands nothing that the rows do not already hold. Several workers may watch
 * at once: each change is a compare-and-set.
 */
import { newBackupId } from '../../provider-schema/ids.ts'
import type { HsmId } from '../../provider-schema/ids.ts'
import type { Cluster } from '../../state/clusters.ts'
import { forgetGone, tellHealth, type HsmHealth } from '../../state/hsm-health.ts'
import type { Hsm } from '../../state/hsms.ts'
import type { ManagementOperations } from '../hsm/protocol/management-operations.ts'
import type { ResultOf } from '../hsm/protocol/envelope.ts'
import { readyMessage } from './launch-hsm.ts'
import { announceMembership } from './membership.ts'
import type { ManagementConnection } from './ports.ts'
import { beginBackup } from './take-backup.ts'
import type { JobContext } from './transition.ts'
import { pause, stopped } from './until-stopped.ts'

const ROUND_MS = 250
/** An HSM of a cluster that waits for its activation is asked every round, others this often. */
const CALM_MS = 2_000
const ANSWER_MS = 2_000
/** What HSMs say is stored this often, all of it in one statement. */
const TELL_MS = 5_000
/** A restart of a crashed process takes less than this: only what lasts longer is shown. */
export const SILENCE_MS = 5_000

type Health = ResultOf<ManagementOperations, 'health'>
type WatchContext = Pick<JobContext, 'database' | 'ports' | 'log' | 'signal'>

interface Watched {
  connection?: ManagementConnection
  nextLook: number
  lastAnswer: number
}

/** Watches until the signal aborts. Survives a database that does not answer. */
export async function watch(ctx: WatchContext): Promise<void> {
  const watched = new Map<HsmId, Watched>()
  const told = new Map<HsmId, HsmHealth>()
  let nextTelling = Date.now() + ROUND_MS
  while (!stopped(ctx.signal)) {
    try {
      await round(ctx, watched, told)
      if (told.size > 0 && Date.now() >= nextTelling) {
        nextTelling = Date.now() + TELL_MS
        await tellHealth(ctx.database.sql, [...told.values()])
        await forgetGone(ctx.database.sql)
        told.clear()
      }
    } catch (error) {
      if (!stopped(ctx.signal)) ctx.log.warn({ err: error }, 'the watcher could not read the state')
    }
    await pause(ROUND_MS, ctx.signal)
  }
  for (const { connection } of watched.values()) await connection?.close()
}

async function round(ctx: WatchContext, watched: Map<HsmId, Watched>, told: Map<HsmId, HsmHealth>): Promise<void> {
  const present = (await ctx.database.read.hsms.present()).filter(
    ({ hsm }) => hsm.member && (hsm.state === 'ACTIVE' || hsm.state === 'DEGRADED'),
  )
  const ids = new Set(present.map(({ hsm }) => hsm.id))
  for (const [id, entry] of watched) {
    if (ids.has(id)) continue
    watched.delete(id)
    await entry.connection?.close()
  }
  const now = Date.now()
  await Promise.all(
    present.map(async ({ hsm, cluster }) => {
      const entry = watched.get(hsm.id) ?? { nextLook: 0, lastAnswer: now }
      watched.set(hsm.id, entry)
      if (entry.nextLook > now) return
      entry.nextLook = now + (cluster.state === 'INITIALIZED' || hsm.state === 'DEGRADED' ? 0 : CALM_MS)
      const health = await look(ctx, hsm, entry)
      told.set(hsm.id, numbersOf(hsm.id, health))
      if (health) await follow(ctx, hsm, cluster, health)
      else await noteSilence(ctx, hsm, entry)
    }),
  )
}

async function look(ctx: WatchContext, hsm: Hsm, entry: Watched): Promise<Health | undefined> {
  try {
    if (!entry.connection?.usable) entry.connection = await ctx.ports.hsms.connect(hsm)
    const health = await entry.connection.call('health', {}, { timeoutMs: ANSWER_MS })
    entry.lastAnswer = Date.now()
    return health
  } catch {
    // Asked again soon: only silence that lasts means anything.
    entry.nextLook = 0
    return undefined
  }
}

async function follow(ctx: WatchContext, hsm: Hsm, cluster: Cluster, health: Health): Promise<void> {
  if (cluster.state === 'INITIALIZED' && health.phase === 'active') await activated(ctx, cluster)
  if (health.membershipEpoch < cluster.membershipEpoch) await announceMembership(ctx, cluster.id)
  if (hsm.state === 'DEGRADED') {
    await ctx.database.read.hsms.changeState(hsm.id, { from: 'DEGRADED', to: 'ACTIVE', message: readyMessage(hsm) })
  }
}

/** For the metrics; without an answer the database keeps the numbers that it has. */
function numbersOf(hsmId: HsmId, health: Health | undefined): HsmHealth {
  const { keys = 0, sessionKeys = 0, users = 0, sessions = 0 } = health ?? {}
  return { hsmId, answers: health !== undefined, keys, sessionKeys, users, sessions }
}

/** A client has activated the cluster: it is ACTIVE, and its first backup begins. */
async function activated(ctx: WatchContext, cluster: Cluster): Promise<void> {
  await ctx.database.transaction(async (tx) => {
    const active = await tx.clusters.changeState(cluster.id, { from: 'INITIALIZED', to: 'ACTIVE' })
    if (active) await beginBackup(tx, active, newBackupId())
  })
}

async function noteSilence(ctx: WatchContext, hsm: Hsm, entry: Watched): Promise<void> {
  if (hsm.state !== 'ACTIVE' || Date.now() - entry.lastAnswer < SILENCE_MS) return
  ctx.log.warn({ hsmId: hsm.id }, 'an HSM does not answer')
  await ctx.database.read.hsms.changeState(hsm.id, {
    from: 'ACTIVE',
    to: 'DEGRADED',
    message: 'The HSM does not answer. Its host restarts it; its keys are kept.',
  })
}
