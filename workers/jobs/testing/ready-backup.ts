import type { BackupId } from '../../../provider-schema/ids.ts'
import type { Backup } from '../../../state/backups.ts'
import type { Cluster } from '../../../state/clusters.ts'
import type { Hsm } from '../../../state/hsms.ts'
import { takeBackup } from '../take-backup.ts'
import { activeCluster, type Bench } from './fixtures.ts'
import { untilFinished, type Trial } from './trials.ts'

/** A backup of a cluster that nobody took yet. */
export function insertBackup({ database }: Pick<Bench, 'database'>, cluster: Cluster): Promise<Backup> {
  return database.read.backups.insert({
    id: `backup-${cluster.id.slice('cluster-'.length)}` as BackupId,
    account: cluster.account,
    clusterId: cluster.id,
    hsmType: cluster.hsmType,
    mode: cluster.mode,
    state: 'CREATE_IN_PROGRESS',
    createdAt: new Date(),
    clusterCertificate: cluster.clusterCertificate,
    trustAnchor: cluster.trustAnchor,
  })
}

/** A READY backup of a cluster with some words in it, taken in the way of a trial. */
export async function readyBackup(
  b: Bench,
  words: readonly string[],
  how: Trial['run'] = untilFinished,
): Promise<{ backup: Backup; hsm: Hsm }> {
  const { cluster, hsm } = await activeCluster(b, words)
  const { id } = await insertBackup(b, cluster)
  await how(takeBackup, { backupId: id }, b.ctx)
  const backup = await b.database.read.backups.find(id)
  if (!backup) throw new Error(`${id} is gone`)
  return { backup, hsm }
}
