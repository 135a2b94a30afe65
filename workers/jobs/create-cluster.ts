/** CreateCluster's job: CREATE_IN_PROGRESS → UNINITIALIZED; → ACTIVE when it is made from a backup. */
import { jobs } from '../../provider-schema/jobs.ts'
import { requireIntact } from './intact-backup.ts'
import { done, Hopeless, to, transition } from './transition.ts'

export const createCluster = transition({
  kind: 'cluster',
  job: jobs.createCluster,
  idOf: (payload) => payload.clusterId,
  from: 'CREATE_IN_PROGRESS',
  first: 'prepare',
  steps: {
    prepare: (cluster) => Promise.resolve(to(cluster.sourceBackupId ? 'check-backup' : 'finish')),

    /** A cluster is not made from a backup that cannot be restored: its bytes are read and their digest compared. */
    'check-backup': async (cluster, { database, ports }) => {
      const backup = cluster.sourceBackupId ? await database.read.backups.find(cluster.sourceBackupId) : undefined
      if (!backup) throw new Hopeless('The source backup does not exist any more.')
      await requireIntact(backup, ports)
      return to('finish-from-backup')
    },

    finish: async (cluster, { database }) => {
      await database.read.clusters.changeState(cluster.id, { from: 'CREATE_IN_PROGRESS', to: 'UNINITIALIZED' })
      return done
    },

    'finish-from-backup': async (cluster, { database }) => {
      const backup = cluster.sourceBackupId ? await database.read.backups.find(cluster.sourceBackupId) : undefined
      await database.read.clusters.changeState(cluster.id, {
        from: 'CREATE_IN_PROGRESS',
        to: 'ACTIVE',
        set: {
          clusterCertificate: backup?.clusterCertificate ?? cluster.clusterCertificate,
          trustAnchor: backup?.trustAnchor ?? cluster.trustAnchor,
        },
      })
      return done
    },
  },
  expired: async (cluster, { database }, reason) => {
    await database.read.clusters.changeState(cluster.id, {
      from: 'CREATE_IN_PROGRESS',
      to: 'DEGRADED',
      message: `Cluster creation failed. Please delete this cluster and try again. ${reason}`,
    })
  },
})
