/** Rows in the states that jobs bring them to, for tests of the API alone: no worker runs here. */
import {
  newBackupId,
  newEniId,
  newHsmId,
  type BackupId,
  type ClusterId,
  type HsmId,
  type SubnetId,
} from '../../provider-schema/ids.ts'
import type { ClusterState, HsmState } from '../../provider-schema/states.ts'
import type { Backup } from '../../state/backups.ts'
import { ACCOUNT, type TestApi } from './api.ts'

export const SUBNETS = ['subnet-0a0a0a0a0a0a0a0a1', 'subnet-0a0a0a0a0a0a0a0a2'] as [SubnetId, SubnetId]

/** Creates a cluster through the API and sets its state. */
export async function clusterIn(api: TestApi, state: ClusterState, input: object = {}): Promise<ClusterId> {
  const { Cluster } = (await api.ask('CreateCluster', {
    HsmType: 'hsm2m.medium',
    SubnetIds: SUBNETS,
    ...input,
  })) as { Cluster: { ClusterId: ClusterId } }
  await setClusterState(api, Cluster.ClusterId, state)
  return Cluster.ClusterId
}

export async function setClusterState(api: TestApi, id: ClusterId, state: ClusterState): Promise<void> {
  const gone = state === 'DELETED'
  await api.database.pool.query(
    'update clusters set state = $2, state_message = null, deadline = null, deleted_at = case when $3 then now() end where id = $1',
    [id, state, gone],
  )
}

/** Adds an HSM row in a state. */
export async function hsmIn(api: TestApi, clusterId: ClusterId, state: HsmState, zone = 'us-east-1a'): Promise<HsmId> {
  const cluster = await api.database.read.clusters.find(clusterId)
  if (!cluster) throw new Error(`there is no ${clusterId}`)
  const { rowCount } = await api.database.pool.query('select from hsms')
  const id = newHsmId()
  const ip = `127.99.0.${(rowCount ?? 0) + 10}`
  await api.database.read.hsms.insert({
    id,
    clusterId,
    account: cluster.account,
    hsmType: 'hsm2m.medium',
    availabilityZone: zone,
    subnetId: cluster.subnetMapping[zone] ?? SUBNETS[0],
    eniId: newEniId(),
    eniIp: ip,
    listenIp: ip,
    state,
    stateMessage: state === 'ACTIVE' ? 'HSM created.' : null,
    createdAt: new Date(),
  })
  return id
}

/** Adds a READY backup, or one that differs as told. */
export async function backupRow(
  api: TestApi,
  clusterId: ClusterId,
  differing: Partial<Backup> = {},
): Promise<BackupId> {
  const { id } = await api.database.read.backups.insert({
    id: newBackupId(),
    account: ACCOUNT,
    clusterId,
    hsmType: 'hsm2m.medium',
    mode: 'FIPS',
    state: 'READY',
    createdAt: new Date(),
    size: 1,
    digest: '00',
    ...differing,
  })
  return id
}

/** Names of the jobs that wait, with their keys. */
export async function jobKeys(api: TestApi): Promise<string[]> {
  const { rows } = await api.database.pool.query<{ key: string }>('select key from graphile_worker.jobs order by key')
  return rows.map((row) => row.key)
}

/** The audit trail as `operation resource principal`. */
export async function trail(api: TestApi): Promise<string[]> {
  const { rows } = await api.database.pool.query<{ line: string }>(
    "select operation || ' ' || resource || ' ' || principal as line from audit order by seq",
  )
  return rows.map((row) => row.line)
}

/** Asserts that a call is refused with code and text, and that nothing at all was changed by it. */
export async function refused(
  api: TestApi,
  operation: string,
  input: unknown,
  code: string,
  message: RegExp,
): Promise<void> {
  const before = await api.rows()
  const refusal = await api.refusal(operation, input)
  const after = await api.rows()
  if (refusal.code !== code) throw new Error(`refused with ${String(refusal.code)}: ${String(refusal.message)}`)
  if (!message.test(String(refusal.message))) throw new Error(`refused with the text: ${String(refusal.message)}`)
  if (before !== after) throw new Error(`${operation} was refused, yet something changed`)
}
