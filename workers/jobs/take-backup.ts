/** A backup: CREATE_IN_PROGRESS → READY. An HSM seals its content, the store keeps it; nobody between can read it. */
import { jobs } from '../../provider-schema/jobs.ts'
import type { BackupId } from '../../provider-schema/ids.ts'
import type { Access } from '../../state/database.ts'
import type { Backup } from '../../state/backups.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import { BACKUP_CHUNK_BYTES } from '../hsm/protocol/management-operations.ts'
import type { ManagementConnection } from './ports.ts'
import { again, done, Hopeless, to, transition, type JobContext } from './transition.ts'
import { withHsm } from './with-hsm.ts'

/** Sealing may take long on a full HSM. */
const SEAL_TIMEOUT_MS = 120_000

export const takeBackup = transition({
  kind: 'backup',
  job: jobs.takeBackup,
  idOf: (payload) => payload.backupId,
  from: 'CREATE_IN_PROGRESS',
  // A copy that comes in from another region is driven by that region.
  concerns: (backup) => backup.copyId === null,
  first: 'store',
  steps: {
    /** Sealed in an HSM, streamed to the store, compared: both must have counted the same digest. */
    store: async (backup, ctx) => {
      const candidates = await sources(ctx, backup)
      if (candidates.length === 0) throw new Hopeless('The cluster has no HSM to take a backup of.')
      for (const hsm of candidates) {
        try {
          const stored = await withHsm(ctx, hsm, (connection) => sealAndStore(connection, backup.id, ctx))
          await ctx.database.read.backups.update(backup.id, stored)
          return to('finish')
        } catch (error) {
          ctx.log.warn({ backupId: backup.id, hsmId: hsm.id, err: error }, 'an HSM gave no backup')
        }
      }
      return again(0, 'No HSM of the cluster could be backed up.')
    },
    finish: async (backup, { database }) => {
      await database.read.backups.changeState(backup.id, { from: 'CREATE_IN_PROGRESS', to: 'READY' })
      return done
    },
  },
  expired: async (backup, { database, ports, log }, reason) => {
    log.error({ backupId: backup.id, reason }, 'a backup failed')
    await ports.backups.remove(backup.id)
    await database.read.backups.changeState(backup.id, { from: 'CREATE_IN_PROGRESS', to: 'DELETED' })
  },
})

/** HSMs to ask: those at work first; one that is about to be deleted may be the last that has the content. */
async function sources(ctx: JobContext, backup: Backup): Promise<Hsm[]> {
  const rank = { ACTIVE: 0, DELETE_IN_PROGRESS: 1, DEGRADED: 2, CREATE_IN_PROGRESS: 3, DELETED: 4 } as const
  return (
    (await ctx.database.read.hsms.ofCluster(backup.clusterId))
      .filter((hsm) => hsm.member && hsm.state !== 'CREATE_IN_PROGRESS')
      // While a change of the HSM type is rolled back, HSMs of the two types hold different things.
      .filter((hsm) => hsm.hsmType === backup.hsmType)
      .toSorted((a, b) => rank[a.state] - rank[b.state])
  )
}

async function sealAndStore(connection: ManagementConnection, backupId: BackupId, ctx: JobContext) {
  const sealed = await connection.call('backup-begin', { backupId }, { timeoutMs: SEAL_TIMEOUT_MS })
  const stored = await ctx.ports.backups.put(backupId, chunks(connection, backupId, sealed.size))
  if (stored.digest !== sealed.digest || stored.size !== sealed.size) {
    throw new Error('what was stored is not what the HSM sealed')
  }
  await connection.call('backup-end', { backupId })
  return stored
}

async function* chunks(connection: ManagementConnection, backupId: BackupId, size: number) {
  for (let offset = 0; offset < size;) {
    const length = Math.min(BACKUP_CHUNK_BYTES, size - offset)
    const { bytes } = await connection.call('backup-read', { backupId, offset, length })
    if (bytes.length === 0) throw new Error('the HSM ended its backup early')
    offset += bytes.length
    yield bytes
  }
}

export interface BackupToBegin {
  readonly id: BackupId
  /** By the service clock. */
  readonly createdAt: Date
  /** A change of the cluster waits for it: its time is part of the change's, and it does not rest on its own. */
  readonly partOfChange: boolean
}

/** A backup of a cluster, begun: its row and its job. Part of the caller's transaction. */
export async function beginBackup(tx: Access, cluster: Cluster, backup: BackupToBegin): Promise<void> {
  const { id: backupId, createdAt, partOfChange } = backup
  await tx.backups.insert({
    id: backupId,
    account: cluster.account,
    clusterId: cluster.id,
    hsmType: cluster.hsmType,
    mode: cluster.mode,
    state: 'CREATE_IN_PROGRESS',
    createdAt,
    notBefore: partOfChange ? new Date() : null,
    clusterCertificate: cluster.clusterCertificate,
    trustAnchor: cluster.trustAnchor,
  })
  await tx.enqueue(jobs.takeBackup, { backupId })
}
