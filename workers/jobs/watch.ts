/**
 * The watcher asks every HSM how it is, and makes the rows say so: a cluster that a client activated becomes ACTIVE, an
 * HSM that does not answer DEGRADED, one that answers again ACTIVE; one that cannot come back is replaced (recover.ts). An
 * HSM that missed a list of members gets the newest.
 *
 * Several workers may watch at once: each change is a compare-and-set.
 */
import { newBackupId } from '../../provider-schema/ids.ts'
import type { HsmId } from '../../provider-schema/ids.ts'
import type { Cluster } from '../../state/clusters.ts'
import { rest } from '../../state/change-state.ts'
import { forgetGone, tellHealth, type HsmHealth } from '../../state/hsm-health.ts'
import type { Hsm } from '../../state/hsms.ts'
import type { ManagementOperations } from '../hsm/protocol/management-operations.ts'
import type { ResultOf } from '../hsm/protocol/envelope.ts'
import { readyMessage } from './launch-hsm.ts'
import { announceMembership } from './membership.ts'
import { restMs } from './pace.ts'
import type { ManagementConnection } from './ports.ts'
import { recover } from './recover.ts'
import { beginBackup } from './take-backup.ts'
import type { JobContext } from './transition.ts'
import { pause, stopped } from './until-stopped.ts'

const ROUND_MS = 250
/**
 * An HSM of a cluster that waits for its activation is asked every round; others this often, and when their cluster's state
 * changes.
 */
const CALM_MS = 2_000
const ANSWER_MS = 2_000
/**
 * Silence counts for at most this much a round: a machine that slept, or a worker that was away, did not hear of an HSM,
 * which is another thing than its silence.
 */
const SILENCE_A_ROUND_MS = 1_000
/** What HSMs say is stored this often, all of it in one statement. */
const TELL_MS = 5_000

type Health = ResultOf<ManagementOperations, 'health'>
type WatchContext = Pick<JobContext, 'database' | 'ports' | 'log' | 'signal' | 'recovery' | 'clock' | 'pace'>

interface Watched {
  connection?: ManagementConnection
  nextLook: number
  /** Of its cluster, when it was last asked. */
  clusterState?: Cluster['state']
  /** When it was last asked, and for how long it has not answered. */
  lastLook: number
  silentMs: number
}

/** Watches until the signal aborts. Survives a database that does not answer. */
export async function watch(ctx: WatchContext): Promise<void> {
  const watched = new Map<HsmId, Watched>()
  const told = new Map<HsmId, HsmHealth>()
  let nextTelling = performance.now() + ROUND_MS
  while (!stopped(ctx.signal)) {
    try {
      await round(ctx, watched, told)
      if (told.size > 0 && performance.now() >= nextTelling) {
        nextTelling = performance.now() + TELL_MS
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

const isWanted = ({ member, replaces }: Hsm) => member || replaces !== null

async function round(ctx: WatchContext, watched: Map<HsmId, Watched>, told: Map<HsmId, HsmHealth>): Promise<void> {
  const present = (await ctx.database.read.hsms.present()).filter(
    // Of those that are no members only replacements that failed: they are tried again.
    ({ hsm }) => (hsm.member && hsm.state === 'ACTIVE') || (isWanted(hsm) && hsm.state === 'DEGRADED'),
  )
  const ids = new Set(present.map(({ hsm }) => hsm.id))
  for (const [id, entry] of watched) {
    if (ids.has(id)) continue
    watched.delete(id)
    await entry.connection?.close()
  }
  // Not the time of day: set back by an hour it would leave the HSMs unwatched for that long.
  const now = performance.now()
  await Promise.all(
    present.map(async ({ hsm, cluster }) => {
      const entry = watched.get(hsm.id) ?? { nextLook: 0, lastLook: now, silentMs: 0 }
      watched.set(hsm.id, entry)
      if (entry.nextLook > now && entry.clusterState === cluster.state) return
      entry.clusterState = cluster.state
      entry.nextLook = now + (cluster.state === 'INITIALIZED' || hsm.state === 'DEGRADED' ? 0 : CALM_MS)
      const health = hsm.member ? await look(ctx, hsm, entry) : undefined
      entry.silentMs = health ? 0 : entry.silentMs + Math.min(performance.now() - entry.lastLook, SILENCE_A_ROUND_MS)
      entry.lastLook = performance.now()
      told.set(hsm.id, numbersOf(hsm.id, health))
      if (health) await follow(ctx, hsm, cluster, health)
      else await recover(ctx, hsm, cluster, entry.silentMs)
    }),
  )
}

async function look(ctx: WatchContext, hsm: Hsm, entry: Watched): Promise<Health | undefined> {
  try {
    if (!entry.connection?.usable) entry.connection = await ctx.ports.hsms.connect(hsm)
    return await entry.connection.call('health', {}, { timeoutMs: ANSWER_MS })
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

/** A client has activated the cluster: it is ACTIVE, at the pace asked for, and its first backup begins. */
async function activated(ctx: WatchContext, cluster: Cluster): Promise<void> {
  const restsUntil =
    cluster.notBefore ??
    (ctx.pace > 0
      ? await rest(
          ctx.database.sql,
          'cluster',
          cluster.id,
          { state: 'INITIALIZED', step: null },
          restMs(ctx.pace, 'activation'),
        )
      : undefined)
  if (restsUntil && restsUntil.getTime() > Date.now()) return
  await ctx.database.transaction(async (tx) => {
    const active = await tx.clusters.changeState(cluster.id, { from: 'INITIALIZED', to: 'ACTIVE' })
    if (active) await beginBackup(tx, active, { id: newBackupId(), createdAt: ctx.clock(), partOfChange: false })
  })
}
