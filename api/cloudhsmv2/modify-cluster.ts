/**
 * ModifyCluster: changes for how long backups are kept, at once, or begins to change the type of all HSMs. One of the
 * two in a request: AWS does not say what both together would mean (control-plane reference §7).
 */
import { invalidRequest } from '../../provider-schema/errors.ts'
import type { ClusterState } from '../../provider-schema/states.ts'
import type { Cluster } from '../../state/clusters.ts'
import { modifyHsmType } from './modify-hsm-type.ts'
import { operation, type Writing } from './operation.ts'
import { presentCluster } from './present.ts'
import { retentionDaysOf } from './retention.ts'

export const modifyCluster = operation('ModifyCluster', async (context) => {
  const { input, caller, tx, audit } = context
  const change = changeIn(input)
  const cluster = await tx.clusters.forUpdate(caller.account, input.ClusterId)
  const changed = await change(context, cluster)
  await audit(cluster.id)
  return { Cluster: presentCluster(changed, await tx.hsms.ofCluster(cluster.id)) }
})

type Change = (context: Writing<'ModifyCluster'>, cluster: Cluster) => Promise<Cluster>

/** What is asked for. Throws CloudHsmInvalidRequestException unless it is exactly one thing, whole and in range. */
function changeIn({ HsmType, BackupRetentionPolicy }: Writing<'ModifyCluster'>['input']): Change {
  if ((HsmType === undefined) === (BackupRetentionPolicy === undefined)) {
    throw invalidRequest('Exactly one of HsmType and BackupRetentionPolicy must be given.')
  }
  if (HsmType !== undefined) return (context, cluster) => modifyHsmType(context, cluster, HsmType)
  if (BackupRetentionPolicy?.Value === undefined) throw invalidRequest('The BackupRetentionPolicy needs a Value.')
  const retentionDays = retentionDaysOf(BackupRetentionPolicy.Value)
  return (context, cluster) => modifyRetention(context, cluster, retentionDays)
}

/** States of rest: in any other something else changes the cluster. */
const AT_REST: readonly ClusterState[] = ['UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED']

/** From now on, for the backups that are there as well. */
async function modifyRetention(
  { tx }: Writing<'ModifyCluster'>,
  cluster: Cluster,
  retentionDays: number,
): Promise<Cluster> {
  if (!AT_REST.includes(cluster.state)) {
    throw invalidRequest(`The cluster ${cluster.id} is ${cluster.state}: it cannot be modified now.`)
  }
  await tx.clusters.update(cluster.id, { retentionDays })
  return { ...cluster, retentionDays }
}
