/** `found` and `install-certificate`: from a blank HSM to the first of an initialised cluster. */
import { encodeIdentity, IDENTITY_PATH, type IdentityRecord } from '../identity/cluster-identity.ts'
import { foundCluster, withCertificate } from '../identity/found.ts'
import { HsmError } from '../protocol/errors.ts'
import type { ManagementOperations } from '../protocol/management-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import { requireEmpty } from './filling.ts'
import { acceptMembership, phaseOf, type ManagedHsm } from './managed-hsm.ts'
import type { OneAtATime } from './one-at-a-time.ts'

export function foundHandlers(hsm: ManagedHsm, exclusive: OneAtATime) {
  return {
    async found({ clusterId, mode, hsmType, membership }) {
      const identity = await exclusive(async () => {
        const { current } = hsm.identity
        // Before the list of members, which would take the HSM out of its own cluster.
        if (current && current.clusterId !== clusterId) {
          throw new HsmError('WrongState', `this HSM belongs to ${current.clusterId}`)
        }
        await acceptMembership(hsm, membership, clusterId)
        return current ?? (await makeCluster(hsm, { clusterId, mode, hsmType }))
      })
      if (identity.hsmCertificate === undefined) {
        throw new HsmError('WrongState', `${clusterId} came from a backup: its key was made elsewhere`)
      }
      return { csr: identity.csr, hsmCertificate: identity.hsmCertificate }
    },

    'install-certificate': ({ clusterCertificate, trustAnchor }) =>
      exclusive(async () => {
        const identity = hsm.identity.current
        if (!identity) throw new HsmError('WrongState', 'this HSM belongs to no cluster')
        if (identity.clusterCertificate === clusterCertificate && identity.trustAnchor === trustAnchor) return {}
        // Until somebody relies on it, a certificate may be replaced: InitializeCluster may have failed after this step.
        if (phaseOf(hsm) === 'active') {
          throw new HsmError('WrongState', 'the cluster is active: its certificate stays')
        }
        await keep(hsm, withCertificate(identity, { clusterCertificate, trustAnchor }))
        hsm.log.info('cluster certificate installed')
        return {}
      }),
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}

async function makeCluster(
  hsm: ManagedHsm,
  options: Pick<IdentityRecord, 'clusterId' | 'mode' | 'hsmType'>,
): Promise<IdentityRecord> {
  requireEmpty(hsm)
  const made = await foundCluster(hsm.device, options)
  await keep(hsm, made)
  hsm.log.info({ clusterId: options.clusterId }, 'cluster founded')
  return made
}

async function keep(hsm: ManagedHsm, identity: IdentityRecord): Promise<void> {
  await hsm.store.write([{ path: IDENTITY_PATH, value: encodeIdentity(identity) }])
}
