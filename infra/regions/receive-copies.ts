/** The destination's side of a copy: rows and bytes, without the wire. */
import type { Logger } from 'pino'
import { newBackupId, type AccountId, type CopyId } from '../../provider-schema/ids.ts'
import type { Backup } from '../../state/backups.ts'
import type { Database } from '../../state/database.ts'
import type { CopyAnnouncement } from '../../workers/jobs/ports.ts'
import type { BackupStore } from '../backup-store/directory-store.ts'
import type { CopyProgress } from './wire.ts'

/** The other region asked for what cannot be: it must not ask again in the same way. */
export class RefusedCopy extends Error {
  readonly status: 400 | 404 | 409

  constructor(status: 400 | 404 | 409, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.status = status
  }
}

export interface CopyReceiver {
  announce(copy: CopyAnnouncement): Promise<CopyProgress>
  receive(sourceRegion: string, copyId: CopyId, offset: number, content: AsyncIterable<Uint8Array>): Promise<void>
  finish(sourceRegion: string, copyId: CopyId): Promise<void>
  abandon(sourceRegion: string, copyId: CopyId, reason: string): Promise<void>
}

/** `clock` is the service clock of this region: when a copy was made is shown. */
export function copyReceiver(database: Database, store: BackupStore, clock: () => Date, log: Logger): CopyReceiver {
  /** The row of a copy, which only the region that announced it may touch. */
  const rowOf = async (sourceRegion: string, copyId: CopyId): Promise<Backup> => {
    const row = await database.read.backups.findByCopy(copyId)
    if (row?.sourceRegion !== sourceRegion) throw new RefusedCopy(404, 'no such copy')
    return row
  }
  const stored = ({ id, size, digest }: Backup) => {
    if (size === null || digest === null) throw new Error(`${id} was announced without size and digest`)
    return { size, digest }
  }

  return {
    announce: async (copy) => {
      const row = (await database.read.backups.findByCopy(copy.copyId)) ?? (await insert(database, copy, clock()))
      if (row.digest !== copy.digest || row.size !== copy.size || row.sourceRegion !== copy.sourceRegion) {
        throw new RefusedCopy(409, 'this copy was announced with other content before')
      }
      if (row.state !== 'CREATE_IN_PROGRESS' && row.state !== 'READY') {
        throw new RefusedCopy(400, `the copy is ${row.state}`)
      }
      const offset = await store.received(row.id)
      // More than was announced can come of a damaged disk only: finishing it finds that out and throws it away.
      return { backupId: row.id, offset, done: row.state === 'READY' || offset >= copy.size }
    },

    receive: async (sourceRegion, copyId, offset, content) => {
      const row = await rowOf(sourceRegion, copyId)
      if (row.state !== 'CREATE_IN_PROGRESS') throw new RefusedCopy(409, `the copy is ${row.state}`)
      await store.receive(row.id, offset, stored(row).size, content)
    },

    finish: async (sourceRegion, copyId) => {
      const row = await rowOf(sourceRegion, copyId)
      if (row.state === 'READY') return
      await store.accept(row.id, stored(row)).catch((cause: unknown) => {
        throw new RefusedCopy(409, cause instanceof Error ? cause.message : 'the content does not fit', { cause })
      })
      await database.read.backups.changeState(row.id, { from: 'CREATE_IN_PROGRESS', to: 'READY' })
      log.info({ backupId: row.id, sourceRegion }, 'a copy has arrived')
    },

    abandon: async (sourceRegion, copyId, reason) => {
      const row = await rowOf(sourceRegion, copyId)
      if (row.state === 'DELETED') {
        // Said again by one who does not know whether he was heard: then it may have been cut short before this.
        await store.remove(row.id)
        return
      }
      if (row.state !== 'CREATE_IN_PROGRESS') return
      log.warn({ backupId: row.id, sourceRegion, reason }, 'a copy was given up by its source')
      await giveUp(database, store, row)
    },
  }
}

/** Copies whose source was not heard of until their deadline: shown as DELETED, as AWS shows failed copies. */
export async function sweepLostCopies(database: Database, store: BackupStore): Promise<void> {
  for (const row of await database.read.backups.lostCopies()) await giveUp(database, store, row)
}

async function giveUp(database: Database, store: BackupStore, row: Backup): Promise<void> {
  await database.read.backups.changeState(row.id, { from: 'CREATE_IN_PROGRESS', to: 'DELETED' })
  await store.remove(row.id)
}

async function insert(database: Database, copy: CopyAnnouncement, copiedAt: Date): Promise<Backup> {
  const row = {
    id: newBackupId(),
    account: copy.account as AccountId,
    clusterId: copy.sourceCluster,
    hsmType: copy.hsmType,
    mode: copy.mode,
    state: 'CREATE_IN_PROGRESS',
    createdAt: new Date(copy.createdAt),
    copiedAt,
    sourceRegion: copy.sourceRegion,
    sourceBackup: copy.sourceBackup,
    sourceCluster: copy.sourceCluster,
    copyId: copy.copyId,
    size: copy.size,
    digest: copy.digest,
    clusterCertificate: copy.clusterCertificate,
    trustAnchor: copy.trustAnchor,
    tags: { ...copy.tags },
  } as const
  try {
    return await database.read.backups.insert(row)
  } catch (error) {
    // Announced twice at once: the other one made the row.
    const existing = await database.read.backups.findByCopy(copy.copyId)
    if (existing) return existing
    throw error
  }
}
