/** ModifyCluster's HsmType: a migration of all HSMs of a cluster to another type. */
import { ServiceError } from '../../provider-schema/errors.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Writing } from './operation.ts'

/**
 * Begins to change the type of a cluster's HSMs; the caller holds the cluster's row. Gives the changed row. Throws
 * CloudHsmServiceException: this version cannot.
 */
export function modifyHsmType(_context: Writing<'ModifyCluster'>, cluster: Cluster, hsmType: string): Promise<Cluster> {
  return Promise.reject(
    new ServiceError(
      'CloudHsmServiceException',
      `The HSM type of ${cluster.id} cannot be changed to ${hsmType}: that is not available yet in this version of Strongroom.`,
    ),
  )
}
