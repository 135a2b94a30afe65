/** Filling a blank HSM from a backup. */
import { open } from 'node:fs/promises'
import {
  decodeIdentity,
  encodeIdentity,
  IDENTITY_PATH,
  newMaskingKey,
  type IdentityRecord,
} from '../identity/cluster-identity.ts'
import { isMissing } from '../identity/files.ts'
import { HsmError } from '../protocol/errors.ts'
import type { RecordStore, VersionedRecord } from '../vault/record-store.ts'
import { digestOf } from './digest.ts'
import { invalid } from './format.ts'
import { readBackup, type OpenedBackup } from './read-backup.ts'

export interface RestoreOptions {
  readonly path: string
  /** As announced by the control plane. */
  readonly size: number
  readonly digest: string
  readonly fleetBackupKeyFile: string
  readonly store: RecordStore
  /** What the cluster is to be, whatever cluster the backup is of. */
  readonly cluster: Pick<IdentityRecord, 'clusterId' | 'hsmType' | 'mode'>
  /** Throws for a record that must not be taken over; all are when left out. */
  readonly check?: (record: VersionedRecord) => void
  /** Called when the whole backup has proved good, before the first record is taken over. */
  readonly verified: () => Promise<void>
}

/** What is on this HSM's disk is not what was announced: the backup itself may be good, and is to be sent anew. */
export class NotAsAnnounced extends HsmError {
  constructor(why: string) {
    super('StorageFailed', `the backup ${why}: it was damaged on its way or on this HSM's disk`)
  }
}

/**
 * Reads a backup twice: once to check all of it, once to take its records over. The identity comes last, so that an HSM
 * is blank until it is whole. Cluster key pair and certificate are the backup's; the masking key is new. Throws
 * NotAsAnnounced or BackupInvalid, nothing changed then.
 */
export async function restoreBackup(options: RestoreOptions): Promise<IdentityRecord> {
  const { path, cluster, store } = options
  const file = await open(path, 'r').catch((error: unknown) => {
    if (isMissing(error)) throw new NotAsAnnounced(`has 0 bytes instead of ${options.size}`)
    throw error
  })
  let backup: OpenedBackup | undefined
  try {
    const found = await digestOf(file)
    if (found.size !== options.size) throw new NotAsAnnounced(`has ${found.size} bytes instead of ${options.size}`)
    if (found.digest !== options.digest) throw new NotAsAnnounced('does not have the digest that was announced')
    backup = await readBackup(file, options.fleetBackupKeyFile)
    if (backup.about.mode !== cluster.mode) {
      throw invalid(`was made in ${backup.about.mode} mode and the cluster is in ${cluster.mode} mode`)
    }
    const kept = await identityIn(backup, options.check)
    await options.verified()
    for await (const records of backup.records()) {
      const others = records.filter((record) => record.path !== IDENTITY_PATH)
      if (others.length > 0) await store.apply(others)
    }
    const { clusterKey, csr, clusterCertificate, trustAnchor } = kept
    const identity: IdentityRecord = {
      ...cluster,
      maskingKey: newMaskingKey(),
      clusterKey,
      csr,
      ...(clusterCertificate !== undefined && { clusterCertificate }),
      ...(trustAnchor !== undefined && { trustAnchor }),
    }
    await store.write([{ path: IDENTITY_PATH, value: encodeIdentity(identity) }])
    return identity
  } finally {
    backup?.close()
    await file.close()
  }
}

/** Reads the backup to its end and gives the cluster identity in it. */
async function identityIn(backup: OpenedBackup, check: RestoreOptions['check']): Promise<IdentityRecord> {
  let identity: IdentityRecord | undefined
  for await (const records of backup.records()) {
    for (const record of records) {
      if (record.path === IDENTITY_PATH) identity = decodeOrRefuse(record.value)
      if (check) passOrRefuse(record, check)
    }
  }
  if (!identity) throw invalid('holds no cluster')
  return identity
}

function decodeOrRefuse(value: Uint8Array): IdentityRecord {
  try {
    return decodeIdentity(value)
  } catch (cause) {
    throw cause instanceof HsmError ? cause : invalid('is damaged: its cluster identity cannot be read', cause)
  }
}

/** A backup of a later version may hold what this one does not know. */
function passOrRefuse(record: VersionedRecord, check: NonNullable<RestoreOptions['check']>): void {
  try {
    check(record)
  } catch (cause) {
    throw invalid(`holds something that this version of the software cannot read: ${record.path}`, cause)
  }
}
