/** InitializeCluster's job: INITIALIZE_IN_PROGRESS → INITIALIZED, once the HSM has the cluster certificate. */
import { jobs } from '../../provider-schema/jobs.ts'
import { HsmError } from '../hsm/protocol/errors.ts'
import { done, Hopeless, to, transition } from './transition.ts'
import { withHsm } from './with-hsm.ts'

export const initializeCluster = transition({
  kind: 'cluster',
  job: jobs.initializeCluster,
  idOf: (payload) => payload.clusterId,
  from: 'INITIALIZE_IN_PROGRESS',
  first: 'install',
  steps: {
    install: async (cluster, ctx) => {
      const { clusterCertificate, trustAnchor } = cluster
      if (!clusterCertificate || !trustAnchor) throw new Hopeless('The signed certificate is missing.')
      const [hsm] = (await ctx.database.read.hsms.ofCluster(cluster.id)).filter((candidate) => candidate.member)
      if (!hsm) throw new Hopeless('The cluster has no HSM any more.')
      try {
        await withHsm(ctx, hsm, (connection) =>
          connection.call('install-certificate', { clusterCertificate, trustAnchor }),
        )
      } catch (error) {
        if (error instanceof HsmError && error.code === 'CertificateInvalid') {
          throw new Hopeless(`The HSM refused the certificate: ${error.message}`, { cause: error })
        }
        throw error
      }
      return to('finish')
    },

    /** From now on only the cluster certificate is shown: the HSM's own cannot be checked any more (data-plane §7). */
    finish: async (cluster, { database }) => {
      await database.read.clusters.changeState(cluster.id, {
        from: 'INITIALIZE_IN_PROGRESS',
        to: 'INITIALIZED',
        set: {
          clusterCsr: null,
          hsmCertificate: null,
          awsHardwareCertificate: null,
          manufacturerHardwareCertificate: null,
        },
      })
      return done
    },
  },
  expired: async (cluster, { database }, reason) => {
    await database.read.clusters.changeState(cluster.id, {
      from: 'INITIALIZE_IN_PROGRESS',
      to: 'UNINITIALIZED',
      message: `Cluster initialization failed. Please try again. ${reason}`,
      set: { clusterCertificate: null, trustAnchor: null },
    })
  },
})
