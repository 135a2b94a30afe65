/** DeleteHsm: asks for the end of an HSM. Asynchronous: it appears as DELETE_IN_PROGRESS, then no more. */
import { invalidRequest, notFound } from '../../provider-schema/errors.ts'
import { jobs } from '../../provider-schema/jobs.ts'
import type { ClusterState, HsmState } from '../../provider-schema/states.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import { operation } from './operation.ts'

export const deleteHsm = operation('DeleteHsm', async ({ input, caller, tx, audit }) => {
  const named = [input.HsmId, input.EniId, input.EniIp].filter((name) => name !== undefined)
  const [name] = named
  if (name === undefined || named.length > 1) {
    throw invalidRequest('Exactly one of HsmId, EniId and EniIp must be given.')
  }
  const cluster = await tx.clusters.forUpdate(caller.account, input.ClusterId)
  const hsm = (await tx.hsms.ofCluster(cluster.id)).find(
    ({ id, eniId, eniIp }) => id === input.HsmId || eniId === input.EniId || eniIp === input.EniIp,
  )
  if (!hsm) throw notFound('HSM', name)
  requireDeletable(cluster, hsm)
  const leaving = await tx.hsms.changeState(hsm.id, { from: hsm.state, to: 'DELETE_IN_PROGRESS' })
  if (!leaving) throw invalidRequest(`The HSM ${hsm.id} has just changed its state. Please try again.`)
  // The next first HSM makes another key pair: this request for a certificate must not be signed any more.
  if (cluster.state === 'UNINITIALIZED') await tx.clusters.update(cluster.id, NO_CERTIFICATES)
  await tx.enqueue(jobs.deleteHsm, { hsmId: hsm.id })
  await audit(hsm.id)
  return { HsmId: hsm.id }
})

const NO_CERTIFICATES = {
  clusterCsr: null,
  hsmCertificate: null,
  awsHardwareCertificate: null,
  manufacturerHardwareCertificate: null,
} as const

const CLUSTER_ALLOWS: readonly ClusterState[] = ['UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED']
const DELETABLE: readonly HsmState[] = ['CREATE_IN_PROGRESS', 'ACTIVE', 'DEGRADED']

function requireDeletable(cluster: Cluster, hsm: Hsm): void {
  if (!CLUSTER_ALLOWS.includes(cluster.state)) {
    throw invalidRequest(`The cluster ${cluster.id} is ${cluster.state}: an HSM cannot be deleted now.`)
  }
  if (!DELETABLE.includes(hsm.state)) throw invalidRequest(`The HSM ${hsm.id} is being deleted already.`)
}
