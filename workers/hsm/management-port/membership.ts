/** `membership`: a newer list of members. */
import { HsmError } from '../protocol/errors.ts'
import type { ManagementOperations } from '../protocol/management-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import type { ManagedHsm } from './managed-hsm.ts'

export function membershipHandlers(hsm: ManagedHsm) {
  return {
    async membership(signed) {
      const clusterId = hsm.identity.current?.clusterId ?? hsm.membership.clusterId
      if (clusterId === undefined) throw new HsmError('WrongState', 'this HSM belongs to no cluster')
      return { epoch: await hsm.membership.accept(signed, clusterId) }
    },
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}
