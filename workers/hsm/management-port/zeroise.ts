/** `zeroise`: the end of an HSM. */
import { SPOOLS } from '../backup/spool.ts'
import { HSM_FILES } from '../../../provider-schema/hsm-directory.ts'
import type { ManagementOperations } from '../protocol/management-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import { destroySealKey, zeroisationBegan } from '../vault/seal.ts'
import type { ManagedHsm } from './managed-hsm.ts'
import { oneAtATime } from './one-at-a-time.ts'

/** What else an HSM has written into its directory or got there, but for its configuration and its log. */
const LEFTOVERS = [HSM_FILES.deviceCsr, HSM_FILES.deviceChain, HSM_FILES.providerChain, SPOOLS.out, SPOOLS.in]

export function zeroiseHandlers(hsm: ManagedHsm) {
  const one = oneAtATime()
  return {
    async zeroise() {
      hsm.log.warn('zeroising')
      hsm.clients.cutOff()
      try {
        await one(() => zeroiseDirectory(hsm.directory))
        hsm.log.warn('zeroised')
      } finally {
        // The keys in its memory must go in any case. What could not be ended on the disk, the next start ends.
        hsm.zeroised()
      }
      return {}
    },
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}

/** Leaves nothing of an HSM but its configuration, its logs and a mark. May be repeated after a kill at any moment. */
export function zeroiseDirectory(directory: string): Promise<void> {
  return destroySealKey(directory, LEFTOVERS)
}

/** Ends a zeroisation that a kill cut short; nothing else happens. To be called by who holds the directory alone. */
export async function endZeroisation(directory: string): Promise<void> {
  if (await zeroisationBegan(directory)) await zeroiseDirectory(directory)
}
