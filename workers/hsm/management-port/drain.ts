/** `drain` and `resume`. */
import type { ManagementOperations } from '../protocol/management-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import type { RecordStore } from '../vault/record-store.ts'
import type { ManagedHsm } from './managed-hsm.ts'

/**
 * Kept on disk: an HSM that is drained for a last backup and then restarts must not take writes that miss it.
 */
const DRAINED = 'management/drained'

export function isDrained(store: Pick<RecordStore, 'local'>): boolean {
  return store.local.get(DRAINED) !== undefined
}

/** To be called before clients are served: an HSM that was drained before a restart still is. */
export function stayDrained({ store, clients }: Pick<ManagedHsm, 'store' | 'clients'>): void {
  if (isDrained(store)) void clients.drain()
}

export function drainHandlers({ store, clients, peers, log }: ManagedHsm) {
  return {
    async drain({ timeoutMs }) {
      await store.local.put(DRAINED, new Uint8Array([1]))
      const end = performance.now() + timeoutMs
      await atMost(clients.drain(), timeoutMs)
      await peers.settle(Math.max(0, end - performance.now()))
      log.info('drained')
      return {}
    },

    async resume() {
      await store.local.put(DRAINED, undefined)
      clients.resume()
      log.info('serves clients again')
      return {}
    },
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}

async function atMost(work: Promise<void>, ms: number): Promise<void> {
  const timeout = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => timeout.resolve(undefined), ms)
  await Promise.race([work, timeout.promise])
  clearTimeout(timer)
}
