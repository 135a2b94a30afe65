/** InitializeCluster: gives a cluster the certificate that its owner signed. Asynchronous. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { jobs } from '../../provider-schema/jobs.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Hsm } from '../../state/hsms.ts'
import { checkedCertificates } from './certificates.ts'
import { operation } from './operation.ts'

/** The words of the real service (API reference). */
const MESSAGE = 'Cluster is initializing. State will change to INITIALIZED upon completion.'

export const initializeCluster = operation('InitializeCluster', async ({ input, caller, tx, ports, audit }) => {
  const cluster = await tx.clusters.forUpdate(caller.account, input.ClusterId)
  const csr = signableRequest(cluster, await tx.hsms.ofCluster(cluster.id))
  const { clusterCertificate, trustAnchor } = await checkedCertificates({
    csr,
    signedCert: input.SignedCert,
    trustAnchor: input.TrustAnchor,
    // HSMs and clients look at certificates in real time.
    now: ports.realClock(),
  })
  const changed = await tx.clusters.changeState(cluster.id, {
    from: 'UNINITIALIZED',
    to: 'INITIALIZE_IN_PROGRESS',
    message: MESSAGE,
    set: { clusterCertificate, trustAnchor },
  })
  if (!changed) throw invalidRequest(`The cluster ${cluster.id} has just changed its state. Please try again.`)
  await tx.enqueue(jobs.initializeCluster, { clusterId: cluster.id })
  await audit(cluster.id)
  return { State: changed.state, StateMessage: MESSAGE }
})

/** The certificate request of the cluster's HSM. There is one while the cluster waits for a signature only. */
function signableRequest(cluster: Cluster, hsms: readonly Hsm[]): string {
  if (cluster.state !== 'UNINITIALIZED') {
    throw invalidRequest(`The cluster ${cluster.id} is ${cluster.state}; it must be UNINITIALIZED to be initialized.`)
  }
  if (cluster.clusterCsr === null || !hsms.some((hsm) => hsm.state === 'ACTIVE')) {
    throw invalidRequest(`The cluster ${cluster.id} needs an ACTIVE HSM before it can be initialized.`)
  }
  return cluster.clusterCsr
}
