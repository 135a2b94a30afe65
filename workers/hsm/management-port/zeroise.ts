/** `zeroise`: the end of an HSM. */
import { join } from 'node:path'
import { SPOOLS } from '../backup/spool.ts'
import { HSM_FILES } from '../../../provider-schema/hsm-directory.ts'
import { removeAll, syncDirectory } from '../identity/files.ts'
import type { ManagementOperations } from '../protocol/management-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import { destroySealKey } from '../vault/seal.ts'
import type { ManagedHsm } from './managed-hsm.ts'

/** What else an HSM has written into its directory or got there, but for its configuration and its log. */
const LEFTOVERS = [HSM_FILES.deviceCsr, HSM_FILES.deviceChain, HSM_FILES.providerChain, SPOOLS.out, SPOOLS.in]

export function zeroiseHandlers(hsm: ManagedHsm) {
  return {
    async zeroise() {
      hsm.log.warn('zeroising')
      hsm.clients.cutOff()
      await destroySealKey(hsm.directory)
      await removeAll(LEFTOVERS.map((name) => join(hsm.directory, name)))
      await syncDirectory(hsm.directory)
      hsm.log.warn('zeroised')
      hsm.zeroised()
      return {}
    },
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}
