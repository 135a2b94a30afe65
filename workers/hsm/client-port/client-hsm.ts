/** What the client port needs of the HSM that it belongs to. The wiring hands it in. */
import type { Logger } from 'pino'
import type { ClusterMode } from '../../../provider-schema/limits.ts'
import type { HsmConfig } from '../../../provider-schema/hsm-directory.ts'
import type { Mtls } from '../mtls/mtls.ts'
import { HsmError } from '../protocol/errors.ts'
import type { HsmPhase } from '../protocol/management-operations.ts'
import type { Quorum } from '../quorum/quorum.ts'
import type { Replication } from '../replication/replication.ts'
import type { Keys } from '../vault/keys.ts'
import type { Users } from '../vault/users.ts'
import type { SeenClients } from './seen-clients.ts'

export interface ClusterFacts {
  readonly clusterId: string
  readonly hsmType: string
  readonly mode: ClusterMode
}

export interface ClientHsm {
  readonly config: Pick<HsmConfig, 'hsmId' | 'address' | 'ports'>
  /** Of the software. */
  readonly version: string
  readonly log: Logger
  readonly users: Users
  readonly keys: Keys
  readonly quorum: Quorum
  readonly mtls: Mtls
  readonly replication: Replication
  readonly seenClients: Pick<SeenClients, 'note'>
  /** Undefined while the HSM belongs to no cluster. */
  cluster(): ClusterFacts | undefined
  phase(): HsmPhase
  /** Client requests that wait or are under way. */
  load(): number
}

/** Throws WrongState while the HSM belongs to no cluster. */
export function requireCluster(hsm: Pick<ClientHsm, 'cluster'>): ClusterFacts {
  const cluster = hsm.cluster()
  if (!cluster) throw new HsmError('WrongState', 'this HSM belongs to no cluster')
  return cluster
}
