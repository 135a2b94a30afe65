/** `health`: how an HSM is, for the control plane. */
import type { ManagementOperations } from '../protocol/management-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import { isDrained } from './drain.ts'
import { phaseOf, type ManagedHsm } from './managed-hsm.ts'

export function healthHandlers(hsm: ManagedHsm) {
  return {
    health: () => ({
      hsmId: hsm.config.hsmId,
      pid: process.pid,
      version: hsm.version,
      phase: phaseOf(hsm),
      ...(hsm.identity.current && { clusterId: hsm.identity.current.clusterId }),
      membershipEpoch: hsm.membership.epoch,
      peersConnected: [...hsm.peers.connected],
      peersInSync: [...hsm.peers.inSync],
      ...hsm.counts(),
      clients: [...hsm.seenClients()],
      draining: isDrained(hsm.store),
      uptimeSeconds: process.uptime(),
    }),
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}
