/**
 * Every job of the control plane: its name, what it is told, and the key that keeps two of the same from queueing.
 *
 * A job carries ids only; what is true stands in the rows. `state` enqueues, `workers/jobs` performs.
 */
import { z } from 'zod'
import type { BackupId, ClusterId, CopyId, HsmId } from './ids.ts'

const id = <T extends string>() => z.custom<T>((value) => typeof value === 'string' && value.length <= 64)

export interface JobSpec<Payload> {
  readonly name: string
  readonly payload: z.ZodType<Payload>
  /** Two jobs of the same key are one: a second enqueue replaces a waiting first. */
  readonly key: (payload: Payload) => string
}

function job<Payload>(name: string, payload: z.ZodType<Payload>, subject: (payload: Payload) => string) {
  return { name, payload, key: (p: Payload) => `${name}:${subject(p)}` } satisfies JobSpec<Payload>
}

const ofCluster = z.object({ clusterId: id<ClusterId>() })
const ofHsm = z.object({ hsmId: id<HsmId>() })
const ofBackup = z.object({ backupId: id<BackupId>() })
const ofCopy = z.object({ copyId: id<CopyId>() })

export const jobs = {
  createCluster: job('create-cluster', ofCluster, (p) => p.clusterId),
  initializeCluster: job('initialize-cluster', ofCluster, (p) => p.clusterId),
  deleteCluster: job('delete-cluster', ofCluster, (p) => p.clusterId),
  launchHsm: job('launch-hsm', ofHsm, (p) => p.hsmId),
  deleteHsm: job('delete-hsm', ofHsm, (p) => p.hsmId),
  migrateHsmType: job('migrate-hsm-type', ofCluster, (p) => p.clusterId),
  rollBackHsmType: job('roll-back-hsm-type', ofCluster, (p) => p.clusterId),
  takeBackup: job('take-backup', ofBackup, (p) => p.backupId),
  copyBackup: job('copy-backup', ofCopy, (p) => p.copyId),
  /** What time brings about: retention, removal, daily backups. */
  housekeeping: job('housekeeping', z.object({}), () => 'region'),
} as const

export type JobName = (typeof jobs)[keyof typeof jobs]['name']
