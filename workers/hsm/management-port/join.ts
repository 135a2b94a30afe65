/** `join`: from a blank HSM to one more of a cluster. */
import { HsmError } from '../protocol/errors.ts'
import type { ManagementOperations } from '../protocol/management-operations.ts'
import { joinCluster } from '../replication/join.ts'
import { requireReadable } from '../vault/readable.ts'
import type { Handlers } from '../server/port-server.ts'
import { beginFilling, endFilling } from './filling.ts'
import { acceptMembership, phaseOf, type ManagedHsm } from './managed-hsm.ts'
import type { OneAtATime } from './one-at-a-time.ts'

/** How long the answer may wait for members that do not link to this HSM, as one that is down does not. */
const MEET_MS = 1_000

export function joinHandlers(hsm: ManagedHsm, exclusive: OneAtATime) {
  return {
    join: ({ clusterId, membership }) =>
      exclusive(async () => {
        const current = hsm.identity.current
        if (current && current.clusterId !== clusterId) {
          throw new HsmError('WrongState', `this HSM belongs to ${current.clusterId}`)
        }
        await acceptMembership(hsm, membership, clusterId)
        if (!current) {
          await beginFilling(hsm, clusterId)
          const members = hsm.membership.members.filter(({ hsmId }) => hsmId !== hsm.config.hsmId)
          await joinCluster({
            clusterId,
            members,
            store: hsm.store,
            connect: hsm.connect,
            check: requireReadable,
            log: hsm.log,
          })
          await hsm.peers.meet(MEET_MS)
        }
        await endFilling(hsm)
        return { phase: phaseOf(hsm) }
      }),
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}
