/** DeleteCluster's job: DELETE_IN_PROGRESS → DELETED. Its backups stay; its row is shown for a while. */
import { jobs } from '../../provider-schema/jobs.ts'
import type { Cluster } from '../../state/clusters.ts'
import { done, transition, type JobContext } from './transition.ts'

export const deleteCluster = transition({
  kind: 'cluster',
  job: jobs.deleteCluster,
  idOf: (payload) => payload.clusterId,
  from: 'DELETE_IN_PROGRESS',
  first: 'release',
  steps: {
    release: async (cluster, ctx) => {
      await release(cluster, ctx)
      return done
    },
  },
  // There is nothing to wait for but the database: past the deadline it is simply done late.
  expired: release,
})

/** Forgets what belongs to a living cluster: certificates and tags (recorded answers show none afterwards). */
async function release(cluster: Cluster, { database, clock }: JobContext): Promise<void> {
  await database.read.clusters.changeState(cluster.id, {
    from: 'DELETE_IN_PROGRESS',
    to: 'DELETED',
    set: {
      deletedAt: clock(),
      clusterCsr: null,
      hsmCertificate: null,
      awsHardwareCertificate: null,
      manufacturerHardwareCertificate: null,
      clusterCertificate: null,
      trustAnchor: null,
      tags: {},
    },
  })
}
