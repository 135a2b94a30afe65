/** DeleteCluster: asks for the end of a cluster without HSMs. Asynchronous; its backups stay. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { jobs } from '../../provider-schema/jobs.ts'
import type { ClusterState } from '../../provider-schema/states.ts'
import { operation } from './operation.ts'
import { presentLeavingCluster } from './present.ts'

const DELETABLE: readonly ClusterState[] = ['UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED']

export const deleteCluster = operation('DeleteCluster', async ({ input, caller, tx, audit }) => {
  const cluster = await tx.clusters.forUpdate(caller.account, input.ClusterId)
  const present = await tx.hsms.ofCluster(cluster.id)
  if (present.length > 0) {
    const ids = present.map((hsm) => hsm.id).join(', ')
    throw invalidRequest(`The cluster ${cluster.id} still has HSMs: ${ids}. Delete them first.`)
  }
  if (!DELETABLE.includes(cluster.state)) {
    throw invalidRequest(`The cluster ${cluster.id} is ${cluster.state}: it cannot be deleted now.`)
  }
  const leaving = await tx.clusters.changeState(cluster.id, {
    from: cluster.state,
    to: 'DELETE_IN_PROGRESS',
    message: 'The cluster is being deleted.',
  })
  if (!leaving) throw invalidRequest(`The cluster ${cluster.id} has just changed its state. Please try again.`)
  await tx.enqueue(jobs.deleteCluster, { clusterId: cluster.id })
  await audit(cluster.id)
  return { Cluster: presentLeavingCluster(leaving) }
})
