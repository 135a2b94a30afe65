/** What an HSM answers its peers. */
import type { AuditHead } from '../../../provider-schema/audit-file.ts'
import type { ClusterIdentity, IdentityRecord } from '../identity/cluster-identity.ts'
import { IDENTITY_PATH } from '../identity/cluster-identity.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Handlers } from '../server/port-server.ts'
import type { RecordStore } from '../vault/record-store.ts'
import type { Masking } from './masking.ts'
import type { Membership } from './membership.ts'
import { BATCH_BYTES, type PeerOperations, type SealedRecord } from './peer-operations.ts'
import type { Peer } from './peer.ts'
import type { Replicator } from './replicator.ts'

/** A connection that a peer made. */
export interface PeerCaller {
  /** By its device certificate. */
  readonly hsmId: string
  /** Whether it said that it is in service. */
  greeted: boolean
}

export interface PeerHandlerOptions {
  readonly store: RecordStore
  readonly identity: ClusterIdentity
  readonly membership: Membership
  readonly replicator: Replicator
  /** How far this HSM's audit log is. */
  readonly auditHead?: () => AuditHead | undefined
}

/** The part of a connection that the handlers look at. */
type From = { readonly context: PeerCaller }

export function peerHandlers({ store, identity, membership, replicator, auditHead }: PeerHandlerOptions) {
  /** Only members deal with each other, and only once this HSM is one in service. */
  const inService = ({ context }: From): { peer: Peer; cluster: IdentityRecord; masking: Masking } => {
    const peer = replicator.peer(context.hsmId)
    const { masking } = replicator
    if (!identity.current || !masking) throw new HsmError('WrongState', 'this HSM is in no cluster yet')
    if (!peer) throw new HsmError('PermissionDenied', 'the list of members does not name both HSMs')
    return { peer, cluster: identity.current, masking }
  }
  const inCluster = (clusterId: string, from: From) => {
    const found = inService(from)
    if (found.cluster.clusterId !== clusterId) throw new HsmError('WrongState', 'this HSM is in another cluster')
    return found
  }

  return {
    greet({ clusterId, incarnation }, from: From) {
      const { peer } = inCluster(clusterId, from)
      peer.greeted(incarnation)
      from.context.greeted = true
      return {
        incarnation: replicator.incarnation,
        epoch: membership.epoch,
        carries: [...replicator.admission.carries],
      }
    },

    async membership(signed, from: From) {
      const { cluster } = inService(from)
      return { epoch: await membership.accept(signed, cluster.clusterId) }
    },

    async push({ records }, from: From) {
      const { peer, masking } = inService(from)
      if (!from.context.greeted) throw new HsmError('WrongState', 'greet first')
      if (records.some(({ version }) => version.hsmId !== from.context.hsmId)) {
        throw new HsmError('InvalidRequest', 'an HSM pushes what it wrote itself')
      }
      const opened = records.map((record) => masking.open(record))
      const { entries, refused } = await replicator.admission.take(opened, peer.source, true)
      peer.gave(entries.map(({ seq }) => seq))
      for (const refusal of refused.values()) throw refusal
      return {}
    },

    pull({ after, limit }, from: From) {
      const { peer } = inService(from)
      if (from.context.greeted) peer.acknowledgedUpTo(after)
      const listings = store
        .feedAfter(after, limit)
        .map(({ seq, path, version, value }) => ({ seq, path, version, deleted: value === undefined }))
      const head = auditHead?.()
      return { listings, ...(head && { auditHead: head }) }
    },

    fetch({ paths }, from: From) {
      const { masking } = inService(from)
      const records: SealedRecord[] = []
      let bytes = 0
      for (const path of paths) {
        const record = store.get(path)
        if (!record) continue
        const sealed = masking.seal(record)
        bytes += sealed.sealed.length
        if (records.length > 0 && bytes > BATCH_BYTES) break
        records.push(sealed)
      }
      return { records }
    },

    join({ clusterId }, from: From) {
      inCluster(clusterId, from)
      const record = store.get(IDENTITY_PATH)
      if (!record?.value) throw new HsmError('WrongState', 'this HSM is in no cluster yet')
      return { version: record.version, value: record.value }
    },
  } satisfies Handlers<PeerOperations, PeerCaller>
}
