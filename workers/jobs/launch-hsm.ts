/**
 * CreateHsm's job: CREATE_IN_PROGRESS → ACTIVE.
 *
 * place → start → certify → (found | backup → join | restore) → finish. The first HSM of a cluster founds it; another
 * joins its members; the first of a cluster that lives in a backup restores it. One that takes another's place begins
 * with clear.
 */
import { jobs } from '../../provider-schema/jobs.ts'
import type { Backup } from '../../state/backups.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import { HsmError } from '../hsm/protocol/errors.ts'
import { BACKUP_CHUNK_BYTES } from '../hsm/protocol/management-operations.ts'
import { backUpFirst } from './backup-step.ts'
import { requireIntact } from './intact-backup.ts'
import { announceMembership, areTogether, setMember } from './membership.ts'
import { hostOf, isCutOff } from './placement.ts'
import type { HsmToRun, ManagementConnection } from './ports.ts'
import { again, done, Hopeless, to, transition, type JobContext } from './transition.ts'
import { withHsm } from './with-hsm.ts'

/** Filling an HSM with 16,666 keys may take long. */
const FILL_TIMEOUT_MS = 120_000

export const launchHsm = transition({
  kind: 'hsm',
  job: jobs.launchHsm,
  idOf: (payload) => payload.hsmId,
  from: 'CREATE_IN_PROGRESS',
  first: 'place',
  steps: {
    /** Only of a replacement: what is left of the HSM before it goes, keys first; then its address is free. */
    clear: async (hsm, ctx) => {
      const { replaces } = hsm
      if (replaces === null) return to('place')
      await announceMembership(ctx, hsm.clusterId, [hsm.id])
      try {
        await withHsm(ctx, { id: replaces, listenIp: hsm.listenIp }, (connection) => connection.call('zeroise', {}))
      } catch (error) {
        ctx.log.info({ hsmId: replaces, reason: String(error) }, 'an HSM that is replaced could not be zeroised')
      }
      // What nobody else holds may be recovered from a damaged store by hand; else nothing is left of it.
      const host = hostOf(ctx, await ctx.database.read.hsms.find(replaces))
      if (!host) return to('place')
      const { kind } = await host.condition(replaces)
      const isLast = (await otherMembers(hsm, ctx)).length === 0
      await (kind === 'lost' && isLast ? host.setAside(replaces) : host.remove(replaces))
      return to('place')
    },

    place: async (hsm, ctx) => {
      const { hosts, hsms } = ctx.database.read
      // In the place of another it can keep the address of that one where that one was.
      const preferred = hsm.replaces && (await hsms.find(hsm.replaces))?.hostId
      const host = await hosts.leastLoaded(hsm.availabilityZone, { onItsWay: hsm.id, preferred })
      if (!host) return again(500, `No host in ${hsm.availabilityZone} has room for an HSM.`)
      if (hsm.hostId === host.id) return to('start')
      // It was begun on a host that went silent: nothing of it may be left there.
      await hostOf(ctx, hsm)?.remove(hsm.id)
      const address = await ctx.ports.hosts.on(host.id).addressFor(hsm, await hsms.addressesInUse())
      await hsms.update(hsm.id, { hostId: host.id, eniIp: address.eniIp, listenIp: address.listenIp })
      return to('start')
    },

    start: async (hsm, ctx) => {
      if (await isCutOff(ctx, hsm)) return to('place')
      await hostOf(ctx, hsm)?.ensureRunning(toRun(hsm))
      return to('certify')
    },

    certify: async (hsm, ctx) => {
      if (await isCutOff(ctx, hsm)) return to('place')
      await hostOf(ctx, hsm)?.certify(toRun(hsm))
      return to('choose')
    },

    /** By what the cluster is: not initialised, with members, or in a backup alone. */
    choose: async (hsm, ctx) => {
      const cluster = await clusterOf(hsm, ctx)
      if (cluster.state === 'UNINITIALIZED') return to('found')
      const isSwapping = cluster.state === 'MODIFY_IN_PROGRESS' || cluster.state === 'ROLLBACK_IN_PROGRESS'
      // Before a swap there was a backup already.
      const fromMembers = isSwapping ? 'join' : 'back-up'
      const source = await sourceOf(hsm, ctx)
      if (source === 'members') return to(fromMembers)
      if (source === 'silent') {
        // In a swap the job of the cluster knows what to do: it puts another HSM in the place of the silent ones first.
        if (isSwapping) throw new Hopeless('No HSM of the cluster answers.')
        return again(0, 'No HSM of the cluster answers.')
      }
      if (source !== 'none') return again(100, source.waitFor)
      if (cluster.state !== 'ACTIVE' && cluster.state !== 'DEGRADED' && !isSwapping) {
        throw new Hopeless('The cluster lost its only HSM before it was activated. Please delete the cluster.')
      }
      return to('restore')
    },

    /** Cluster key pair, CSR and masking key come into being in the HSM; the CSR and certificates are published. */
    found: async (hsm, ctx) => {
      const cluster = await clusterOf(hsm, ctx)
      const certificates = await hostOf(ctx, hsm)?.certify(toRun(hsm))
      const membership = await setMember(ctx, hsm, true)
      const made = await withHsm(ctx, hsm, (connection) =>
        connection.call('found', {
          clusterId: cluster.id,
          mode: cluster.mode,
          hsmType: hsm.hsmType,
          membership,
        }),
      )
      await ctx.database.read.clusters.update(cluster.id, {
        clusterCsr: made.csr,
        hsmCertificate: made.hsmCertificate,
        ...certificates,
      })
      return to('finish')
    },

    'back-up': (hsm, ctx) => backUpFirst(hsm, ctx, to('join')),

    /** The others must know the newcomer before it knocks. */
    join: async (hsm, ctx) => {
      const membership = await setMember(ctx, hsm, true)
      const told = await announceMembership(ctx, hsm.clusterId, [hsm.id])
      const others = await otherMembers(hsm, ctx)
      if (!others.some(({ id }) => told.includes(id))) return again(0, 'No HSM of the cluster answers.')
      await withHsm(ctx, hsm, (connection) =>
        connection.call('join', { clusterId: hsm.clusterId, membership }, { timeoutMs: FILL_TIMEOUT_MS }),
      )
      // From here on it names what the HSM was restored from.
      await ctx.database.read.hsms.update(hsm.id, { backupId: null })
      return to('finish')
    },

    restore: async (hsm, ctx) => {
      const cluster = await clusterOf(hsm, ctx)
      const backup = await backupOf(cluster, ctx)
      const membership = await setMember(ctx, hsm, true)
      const restored = await withHsm(ctx, hsm, async (connection) => {
        await upload(connection, backup, ctx)
        return connection.call(
          'restore-commit',
          { backupId: backup.id, clusterId: cluster.id, mode: cluster.mode, hsmType: hsm.hsmType, membership },
          { timeoutMs: FILL_TIMEOUT_MS },
        )
      }).catch(async (error: unknown) => {
        if (error instanceof HsmError && error.code === 'BackupInvalid') {
          throw new Hopeless(`${backup.id} cannot be restored: ${error.message}`, { cause: error })
        }
        await requireIntact(backup, ctx.ports)
        throw error
      })
      await ctx.database.read.clusters.update(cluster.id, {
        clusterCertificate: restored.clusterCertificate ?? cluster.clusterCertificate,
        trustAnchor: restored.trustAnchor ?? cluster.trustAnchor,
      })
      await ctx.database.read.hsms.update(hsm.id, { backupId: backup.id })
      return to('finish')
    },

    finish: async (hsm, ctx) => {
      await ctx.database.read.hsms.changeState(hsm.id, {
        from: 'CREATE_IN_PROGRESS',
        to: 'ACTIVE',
        message: `${readyMessage(hsm)}${await lossOf(hsm, ctx)}`,
        set: { backupId: null, replaces: null },
      })
      return done
    },
  },
  expired: async (hsm, ctx, reason) => {
    await setMember(ctx, hsm, false)
    await ctx.database.read.hsms.changeState(hsm.id, {
      from: 'CREATE_IN_PROGRESS',
      to: 'DEGRADED',
      message:
        hsm.replaces === null
          ? `HSM creation failed. Please delete this HSM and try again. ${reason}`
          : `HSM replacement failed; it is tried again. ${reason}`,
    })
    await announceMembership(ctx, hsm.clusterId)
  },
})

/** StateMessage of an HSM at work; where it listens when that is not the address that was asked for. */
export function readyMessage(hsm: Pick<Hsm, 'eniIp' | 'listenIp'>): string {
  if (hsm.eniIp === hsm.listenIp) return 'HSM created.'
  return `HSM created. It listens on ${hsm.listenIp}: this machine cannot bind ${hsm.eniIp}.`
}

function toRun(hsm: Hsm): HsmToRun {
  return { id: hsm.id, hsmType: hsm.hsmType, listenIp: hsm.listenIp, eniIp: hsm.eniIp }
}

/** What did not come back with an HSM that was restored in the place of a lost one; nothing, when it is no such HSM. */
async function lossOf(hsm: Hsm, ctx: JobContext): Promise<string> {
  const { state } = await clusterOf(hsm, ctx)
  if (hsm.replaces === null || hsm.backupId === null || state === 'MODIFY_IN_PROGRESS') return ''
  if (state === 'ROLLBACK_IN_PROGRESS') return ''
  const backup = await ctx.database.read.backups.find(hsm.backupId)
  if (!backup) return ''
  return ` It holds the backup ${backup.id} of ${backup.createdAt.toISOString()}: what was written since is lost.`
}

async function clusterOf(hsm: Hsm, { database }: JobContext): Promise<Cluster> {
  const cluster = await database.read.clusters.find(hsm.clusterId)
  if (!cluster) throw new Hopeless(`${hsm.clusterId} does not exist.`)
  return cluster
}

/** Members that the HSM is to be the same as. */
async function otherMembers(hsm: Hsm, ctx: JobContext): Promise<Hsm[]> {
  const cluster = await clusterOf(hsm, ctx)
  return withIt(cluster, hsm, await ctx.database.read.hsms.ofCluster(hsm.clusterId))
}

const withIt = (cluster: Cluster, hsm: Hsm, all: readonly Hsm[]) =>
  all.filter((other) => other.id !== hsm.id && other.member && areTogether(cluster, hsm, other))

type Source = 'members' | 'none' | 'silent' | { readonly waitFor: string }

const isSource = (found: Source | readonly Hsm[]): found is Source => typeof found === 'string' || 'waitFor' in found

/**
 * Where the content of a new HSM is: with members, nowhere but in a backup, or what there is to wait for. The first to
 * find that there is no member is one from then on: a second one waits for it, instead of restoring a twin of the
 * cluster with a masking key of its own.
 */
async function sourceOf(hsm: Hsm, ctx: JobContext): Promise<Source> {
  const found = await ctx.database.transaction(async (tx): Promise<Source | readonly Hsm[]> => {
    const cluster = await tx.clusters.lock(hsm.clusterId)
    if (!cluster) throw new Hopeless(`${hsm.clusterId} does not exist.`)
    const others = withIt(cluster, hsm, await tx.hsms.ofCluster(hsm.clusterId))
    if (others.some(({ state }) => state === 'ACTIVE')) return 'members'
    // The last HSM is on its way out: what it holds is in the backup that its removal makes.
    if (others.some(({ state }) => state === 'DELETE_IN_PROGRESS')) {
      return { waitFor: 'The last HSM of the cluster is being deleted.' }
    }
    if (others.some(({ state }) => state === 'CREATE_IN_PROGRESS')) {
      return { waitFor: 'Another HSM of the cluster is being filled.' }
    }
    if (others.length > 0) return others
    if (!(await tx.hsms.find(hsm.id))?.member) {
      await tx.hsms.update(hsm.id, { member: true })
      await tx.clusters.nextMembershipEpoch(hsm.clusterId)
    }
    return 'none'
  })
  if (isSource(found)) return found
  const answers = await Promise.allSettled(
    found.map((other) => withHsm(ctx, other, (connection) => connection.call('health', {}))),
  )
  return answers.some(({ status }) => status === 'fulfilled') ? 'members' : 'silent'
}

/** What to restore: the cluster's own newest backup, else the one it was made from; what a rollback goes back to. */
async function backupOf(cluster: Cluster, { database }: JobContext): Promise<Backup> {
  const { migration } = cluster
  const named =
    cluster.state === 'ROLLBACK_IN_PROGRESS'
      ? migration?.preMigrationBackup
      : cluster.state === 'MODIFY_IN_PROGRESS'
        ? migration?.swap?.backupId
        : undefined
  const backup =
    (named ? await database.read.backups.find(named) : undefined) ??
    (await database.read.backups.newestReady(cluster.id, cluster.hsmType)) ??
    (cluster.sourceBackupId ? await database.read.backups.find(cluster.sourceBackupId) : undefined)
  if (!backup) throw new Hopeless('There is no backup to restore the cluster from.')
  return backup
}

async function upload(connection: ManagementConnection, backup: Backup, { ports }: JobContext): Promise<void> {
  const { id: backupId, size, digest } = backup
  if (size === null || digest === null) throw new Hopeless(`${backupId} has no content.`)
  const { offset: already } = await connection.call('restore-begin', { backupId, size, digest })
  let offset = already
  for await (const piece of ports.backups.read(backupId, already)) {
    for (let at = 0; at < piece.length; at += BACKUP_CHUNK_BYTES) {
      const bytes = piece.subarray(at, at + BACKUP_CHUNK_BYTES)
      ;({ offset } = await connection.call('restore-write', { backupId, offset, bytes }))
    }
  }
}
