/**
 * A new cluster, and all that comes with it: its job, its event in the trail, and the subnets that it is the first to name.
 *
 * One statement, which is a transaction of its own: a creation costs 0.5 ms of CPU in the API and 0.8 ms in Postgres, a
 * third of that for the job, where nine statements through drizzle cost 2.5 ms and 2 ms. What was decided on is asked again
 * inside it, while the account is held: `room_for_cluster` in migrations/sql. Its plan stands in new-cluster.plans.md.
 */
import type { Pool } from 'pg'
import type { AccountId, ClusterId, VpcId } from '../provider-schema/ids.ts'
import { jobs, type JobOrigin } from '../provider-schema/jobs.ts'
import { idArray, type AuditEntry } from './audit.ts'
import { TRANSITION_SECONDS } from './change-state.ts'
import type { ShownCluster } from './cluster-page.ts'
import { MAX_ATTEMPTS, payloadOf } from './enqueue.ts'
import type { Subnet } from './subnets.ts'

/** As it is shown, and whose it is. */
export interface NewCluster extends ShownCluster {
  readonly account: AccountId
  readonly state: 'CREATE_IN_PROGRESS'
  readonly trustAnchor: string | null
}

export interface Creation {
  readonly cluster: NewCluster
  /** Clusters that the account may have. */
  readonly most: number
  /** To be remembered with it. */
  readonly subnets: readonly Subnet[]
  /** The VPC that the account was found or given; left out where it does not matter which one it has. */
  readonly vpcOfAccount?: VpcId | undefined
  readonly event: AuditEntry
  readonly origin: JobOrigin
  /** By performance.now(): from a moment before it on it does not happen any more. */
  readonly until: number
}

export const INSERT_CLUSTER = `
  with room as materialized (
    select room_for_cluster($1, $2, $3, $4, $5 * interval '1 millisecond') as found),
  made as (
    insert into clusters (account, source_backup_id, id, hsm_type, mode, network_type, state, deadline, subnet_mapping,
      vpc_id, security_group, retention_days, cluster_certificate, trust_anchor, tags, created_at)
    select $1, $3, $6, $7, $8, $9, 'CREATE_IN_PROGRESS', now() + make_interval(secs => ${TRANSITION_SECONDS.cluster}),
      $10::jsonb, $11, $12, $13::int, $14, $15, $16::jsonb, $17::timestamptz
    from room where found),
  remembered as (
    insert into subnets (id, account, availability_zone, vpc_id)
    select id, $1, zone, $11 from room, unnest($18::text[], $19::text[]) as new (id, zone) where found),
  queued as (
    select enqueue_job($20, $21::json, $22, ${MAX_ATTEMPTS}, now()) as job from room where found),
  told as (
    insert into audit (account, at, request_id, principal, operation, resource, resources, source_ip, event)
    select $1, $23::timestamptz, $24, $25, $26, $27, $28::text[], $29, $30::json from room where found)
  select found, (select count(job) from queued) from room`

/**
 * Milliseconds before its end that the database gives up: it counts from when it hears of the statement, and has still to
 * write.
 */
const MARGIN_MS = 250

/**
 * False when the account has no room for one more: then nothing is written. Throws a serialization failure, or a breach of
 * `subnets_pkey`, when what was decided on is not so any more; and `lock_not_available` when it is too late.
 */
export async function insertCluster(pool: Pool, creation: Creation): Promise<boolean> {
  // How long a connection is waited for counts too.
  const connection = await pool.connect()
  try {
    const patience = Math.max(0, Math.floor(creation.until - MARGIN_MS - performance.now()))
    const { rows } = await connection.query<[boolean, string]>({
      name: 'insert_cluster',
      text: INSERT_CLUSTER,
      rowMode: 'array',
      values: valuesOf(creation, patience),
    })
    return rows[0]?.[0] === true
  } finally {
    connection.release()
  }
}

function valuesOf({ cluster, most, subnets, vpcOfAccount, event, origin }: Creation, patience: number): unknown[] {
  const job = jobs.createCluster
  const payload: { clusterId: ClusterId } = { clusterId: cluster.id }
  return [
    ...[cluster.account, most, cluster.sourceBackupId, vpcOfAccount ?? null, patience],
    ...[cluster.id, cluster.hsmType, cluster.mode, cluster.networkType],
    ...[JSON.stringify(cluster.subnetMapping), cluster.vpcId, cluster.securityGroup, cluster.retentionDays],
    ...[cluster.clusterCertificate, cluster.trustAnchor, JSON.stringify(cluster.tags)],
    ...[cluster.createdAt.toISOString(), subnets.map(({ id }) => id), subnets.map((each) => each.availabilityZone)],
    ...[job.name, payloadOf(job, payload, origin), job.key(payload)],
    ...[event.at.toISOString(), event.requestId, event.principal, event.operation, event.resource],
    ...[idArray(event.resources ?? []), event.sourceIp, event.event],
  ]
}
