/** Which backups hold the only content of a cluster. */
import { sql, type SQL } from 'drizzle-orm'
import type { BackupId, ClusterId } from '../provider-schema/ids.ts'
import type { Sql } from './database.ts'

/**
 * A cluster `c` whose content is in the backup alone: no HSM at work holds it, and this is what its next HSM would be
 * made from: its newest READY backup or, before it has one, the backup that it was made from.
 */
const livesIn = (backup: SQL): SQL => sql`
  c.state not in ('DELETE_IN_PROGRESS', 'DELETED')
  and not exists (select from hsms h
    where h.cluster_id = c.id and h.member and h.state in ('ACTIVE', 'DEGRADED'))
  and ${backup} = coalesce(
    (select o.id from backups o
      where o.cluster_id = c.id and o.state = 'READY' and o.copy_id is null
      order by o.created_at desc, o.id desc limit 1),
    c.source_backup_id)`

/** A cluster that would be lost with this backup. Hold the backup, so that none is made of it meanwhile. */
export async function clusterLivingIn(db: Sql, backupId: BackupId): Promise<ClusterId | undefined> {
  const { rows } = await db.execute<{ id: ClusterId }>(sql`
    select c.id from clusters c
    where (c.source_backup_id = ${backupId} or c.id = (select b.cluster_id from backups b where b.id = ${backupId}))
      and ${livesIn(sql`${backupId}`)}
    order by c.id limit 1`)
  return rows[0]?.id
}

/**
 * Backups of a cluster whose days are over at this time: READY, not exempt, older than the cluster's policy, and not the
 * newest. Copies from other regions are not among them: no policy reaches them. Nor is one that another cluster lives in.
 * With a cluster only its own: of 100,000 backups all are looked through in a quarter of a second, one cluster's in 1 ms.
 */
export async function expiredBackups(
  db: Sql,
  now: Date,
  of?: ClusterId,
): Promise<{ id: BackupId; clusterId: ClusterId }[]> {
  const { rows } = await db.execute<{ id: BackupId; clusterId: ClusterId }>(sql`
    select b.id, b.cluster_id as "clusterId"
    from backups b join clusters own on own.id = b.cluster_id
    where b.state = 'READY' and not b.never_expires and b.copy_id is null ${of ? sql`and b.cluster_id = ${of}` : sql``}
      and b.created_at < ${now.toISOString()}::timestamptz - make_interval(days => own.retention_days)
      and exists (select from backups newer
        where newer.cluster_id = b.cluster_id and newer.state = 'READY' and newer.copy_id is null
          and (newer.created_at, newer.id) > (b.created_at, b.id))
      and not exists (select from clusters c where c.source_backup_id = b.id and ${livesIn(sql`b.id`)})
    order by b.created_at, b.id
    limit 1000`)
  return rows
}

/** Clusters that are due for their daily backup: ACTIVE with an HSM, none taken or begun within a day. Of one, or of all. */
export async function clustersToBackUp(db: Sql, now: Date, of?: ClusterId): Promise<ClusterId[]> {
  const at = sql`${now.toISOString()}::timestamptz`
  const { rows } = await db.execute<{ id: ClusterId }>(sql`
    select c.id from clusters c
    where c.state = 'ACTIVE' ${of ? sql`and c.id = ${of}` : sql``} and c.created_at <= ${at} - interval '1 day'
      and exists (select from hsms h where h.cluster_id = c.id and h.member and h.state = 'ACTIVE')
      and not exists (select from backups b
        where b.cluster_id = c.id and b.copy_id is null
          and (b.state in ('READY', 'CREATE_IN_PROGRESS') and b.created_at > ${at} - interval '1 day'
            -- One that failed is not followed by the next at once.
            or b.created_at > ${at} - interval '15 minutes'))
    order by c.id`)
  return rows.map((row) => row.id)
}
