/**
 * The pages that DescribeClusters shows: the hottest queries there are, since there are no waiters and every client polls.
 *
 * In two halves, so that an answer which was made before need not be made again: `pageVersions` tells which clusters a
 * page has and of what version each is, `clustersOf` reads those that the caller has not got. Postgres is asked every
 * time, so that an answer is never older than the question.
 *
 * The version of a row is its `xmin`: the transaction that wrote it. A row that has the same one has not changed. That no
 * row at all has changed, cluster-changes.ts tells: 0.05 ms of Postgres, for as many questions as wait for it, where
 * versions cost 0.16 ms a page of 25, and rows 0.5 ms.
 *
 * The statements are written by hand and prepared by name, one for each combination of filters: a filter that is not
 * given would still keep the planner from using the index of one that is. Their plans stand in cluster-page.plans.md.
 */
import type { Pool } from 'pg'
import type { AccountId } from '../provider-schema/ids.ts'
import type { ClusterState } from '../provider-schema/states.ts'
import type { Cluster } from './clusters.ts'
import type { Hsm } from './hsms.ts'

export interface ClusterQuery {
  readonly account: AccountId
  readonly ids?: readonly string[]
  readonly vpcIds?: readonly string[]
  readonly states?: readonly ClusterState[]
  /** Leave out clusters that are gone. */
  readonly exceptDeleted?: boolean
  /** Leave out clusters that were gone before this. */
  readonly goneSince?: Date
  /** Only ids after this one: the last of the page before. */
  readonly after?: string
  readonly limit: number
}

/** A cluster as far as it is shown. */
export type ShownCluster = Pick<
  Cluster,
  | 'id'
  | 'hsmType'
  | 'mode'
  | 'networkType'
  | 'state'
  | 'stateMessage'
  | 'subnetMapping'
  | 'vpcId'
  | 'securityGroup'
  | 'retentionDays'
  | 'sourceBackupId'
  | 'clusterCsr'
  | 'hsmCertificate'
  | 'awsHardwareCertificate'
  | 'manufacturerHardwareCertificate'
  | 'clusterCertificate'
  | 'tags'
  | 'createdAt'
  | 'hsmTypeRollbackExpiration'
>

/** An HSM as far as it is shown. */
export type ShownHsm = Pick<
  Hsm,
  | 'id'
  | 'clusterId'
  | 'hsmType'
  | 'availabilityZone'
  | 'subnetId'
  | 'eniId'
  | 'eniIp'
  | 'eniIpV6'
  | 'state'
  | 'stateMessage'
>

export interface ClusterWithHsms {
  /** Changes whenever anything of this does; as `pageVersions` has it. */
  readonly version: string
  readonly cluster: ShownCluster
  /** Those that are deleted left out, oldest first. */
  readonly hsms: readonly ShownHsm[]
}

/** Epoch milliseconds instead of a timestamp: parsing a date's text costs more than all the rest of a row. */
type ClusterRow = Omit<ShownCluster, 'createdAt' | 'hsmTypeRollbackExpiration'> & {
  readonly createdAt: number
  readonly rollbackExpiration: number | null
  readonly version: string
}

export const CLUSTERS = `
  select id, hsm_type as "hsmType", mode, network_type as "networkType", state, state_message as "stateMessage",
    subnet_mapping as "subnetMapping", vpc_id as "vpcId", security_group as "securityGroup",
    retention_days as "retentionDays", source_backup_id as "sourceBackupId", cluster_csr as "clusterCsr",
    hsm_certificate as "hsmCertificate", aws_hardware_certificate as "awsHardwareCertificate",
    manufacturer_hardware_certificate as "manufacturerHardwareCertificate",
    cluster_certificate as "clusterCertificate", tags, extract(epoch from created_at)::float8 * 1000 as "createdAt",
    extract(epoch from hsm_type_rollback_expiration)::float8 * 1000 as "rollbackExpiration",
    xmin::text as version
  from clusters
  where id = any($1)`

export const THEIR_HSMS = `
  select id, cluster_id as "clusterId", hsm_type as "hsmType", availability_zone as "availabilityZone",
    subnet_id as "subnetId", eni_id as "eniId", eni_ip as "eniIp", eni_ip_v6 as "eniIpV6", state,
    state_message as "stateMessage", xmin::text as version
  from hsms
  where cluster_id = any($1) and state <> 'DELETED'
  order by created_at, id`

/** Clusters by id, each with its HSMs; in no order. */
export async function clustersOf(pool: Pool, ids: readonly string[]): Promise<ClusterWithHsms[]> {
  const values = [ids]
  const { rows: clusters } = await pool.query<ClusterRow>({ name: 'clusters_of', text: CLUSTERS, values })
  const { rows: hsms } = await pool.query<ShownHsm & { readonly version: string }>({
    name: 'clusters_of_hsms',
    text: THEIR_HSMS,
    values,
  })
  const byCluster = Map.groupBy(hsms, (hsm) => hsm.clusterId)
  return clusters.map(({ version, createdAt, rollbackExpiration, ...row }) => {
    const own = byCluster.get(row.id) ?? []
    return {
      cluster: {
        ...row,
        createdAt: new Date(createdAt),
        hsmTypeRollbackExpiration: rollbackExpiration === null ? null : new Date(rollbackExpiration),
      },
      hsms: own,
      version: own
        .map((hsm) => hsmVersion(hsm.id, hsm.version))
        .toSorted()
        .reduce((all, each) => all + each, version),
    }
  })
}

const hsmVersion = (id: string, version: string) => ` ${id} ${version}`

/** What a page has: id → version, in ascending order of id. */
export async function pageVersions(pool: Pool, query: ClusterQuery): Promise<Map<string, string>> {
  const { name, text, values } = versionsStatement(query)
  const { rows } = await pool.query<[string | null, string | null]>({
    name,
    text,
    values: [...values],
    rowMode: 'array',
  })
  const [clusters, hsms] = rows[0] ?? [null, null]
  return versionsIn(clusters ?? '', hsms ?? '')
}

function versionsIn(clusters: string, hsms: string): Map<string, string> {
  const versions = new Map<string, string>()
  if (clusters === '') return versions
  for (const each of clusters.split(',')) {
    const [id = '', version = ''] = each.split(' ')
    versions.set(id, version)
  }
  if (hsms === '') return versions
  for (const each of hsms.split(',')) {
    const [clusterId = '', id = '', version = ''] = each.split(' ')
    versions.set(clusterId, (versions.get(clusterId) ?? '') + hsmVersion(id, version))
  }
  return versions
}

export interface Statement {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
}

/** The statement for a query. */
export function versionsStatement(query: ClusterQuery): Statement {
  const values: unknown[] = [query.account]
  const conditions = ['account = $1']
  let name = 'cluster_versions'
  const require = (letter: string, value: unknown, condition: (parameter: string) => string) => {
    if (value === undefined) return
    values.push(value)
    conditions.push(condition(`$${values.length}`))
    name += letter
  }
  require('_after', query.after, (p) => `id > ${p}`)
  require('_ids', query.ids, (p) => `id = any(${p})`)
  require('_vpcs', query.vpcIds, (p) => `vpc_id = any(${p})`)
  require('_states', query.states, (p) => `state = any(${p})`)
  require('_since', query.goneSince, (p) => `(deleted_at is null or deleted_at >= ${p})`)
  if (query.exceptDeleted) {
    name += '_present'
    conditions.push("state <> 'DELETED'")
  }
  values.push(query.limit)
  const text = `
    with page as materialized (
      select id, xmin::text as version from clusters
      where ${conditions.join(' and ')}
      order by id limit $${values.length})
    select
      (select string_agg(id || ' ' || version, ',' order by id) from page),
      (select string_agg(cluster_id || ' ' || id || ' ' || xmin::text, ',' order by id) from hsms
       where cluster_id = any(array(select id from page)) and state <> 'DELETED')`
  return { name, text, values }
}
