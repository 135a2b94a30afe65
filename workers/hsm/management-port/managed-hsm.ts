/** What the management port needs of the HSM that it belongs to. The wiring hands it in. */
import type { Logger } from 'pino'
import type { AuditLog } from '../audit/audit-log.ts'
import type { SeenClient } from '../client-port/seen-clients.ts'
import type { HsmConfig } from '../../../provider-schema/hsm-directory.ts'
import type { ClusterIdentity } from '../identity/cluster-identity.ts'
import type { Device } from '../identity/device.ts'
import type { HsmPhase, SignedMembership } from '../protocol/management-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Member } from '../protocol/values.ts'
import type { Membership } from '../replication/membership.ts'
import type { PeerLink } from '../replication/peer.ts'
import type { Replicator } from '../replication/replicator.ts'
import type { RecordStore } from '../vault/record-store.ts'

export interface ManagedHsm {
  readonly directory: string
  readonly config: HsmConfig
  /** Of the software. */
  readonly version: string
  readonly log: Logger
  readonly store: RecordStore
  readonly device: Device
  readonly identity: ClusterIdentity
  readonly membership: Membership
  readonly peers: Peers
  /** Connects to a member's peer port, for joining. */
  readonly connect: (member: Member) => Promise<PeerLink>
  readonly clients: Clients
  readonly audit: AuditLog
  counts(): {
    readonly keys: number
    readonly sessionKeys: number
    readonly users: number
    readonly sessions: number
  }
  /** Which clients logged in here of late. */
  seenClients(): readonly SeenClient[]
  /** Whether the cluster has an admin. */
  activated(): boolean
  /** Called when nothing is left of what this HSM held: the process is to end. */
  zeroised(): void
}

/** The client port. */
export interface Clients {
  /** Takes no new connections and requests from the moment of the call; resolves when none is under way. */
  drain(): Promise<void>
  resume(): void
  /** Ends every connection now, whatever is under way, and takes no more. */
  cutOff(): void
}

/** The other HSMs of the cluster: see `Replicator`. */
export type Peers = Pick<Replicator, 'connected' | 'inSync' | 'settle' | 'meet' | 'catchUp'>

/** Where the HSM stands, from what it holds. */
export function phaseOf({ identity, activated }: Pick<ManagedHsm, 'identity' | 'activated'>): HsmPhase {
  if (!identity.current) return 'blank'
  if (identity.current.clusterCertificate === undefined) return 'founded'
  return activated() ? 'active' : 'initialized'
}

/** Takes the list over; throws PermissionDenied when it is not good for this cluster or does not name this HSM. */
export async function acceptMembership(
  { membership, config }: Pick<ManagedHsm, 'membership' | 'config'>,
  signed: SignedMembership,
  clusterId: string,
): Promise<void> {
  await membership.accept(signed, clusterId)
  if (!membership.includes(config.hsmId)) {
    throw new HsmError('PermissionDenied', 'the list of members does not name this HSM')
  }
}
