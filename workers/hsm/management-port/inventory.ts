/** `inventory`: what an HSM holds for its cluster, so that two of them can be compared. */
import { newDigest } from '../backup/digest.ts'
import { IDENTITY_PATH } from '../identity/cluster-identity.ts'
import type { ManagementOperations } from '../protocol/management-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import { handleOf } from '../vault/key-record.ts'
import { recordsOf } from '../vault/contested-records.ts'
import type { ManagedHsm } from './managed-hsm.ts'

export function inventoryHandlers({ store }: Pick<ManagedHsm, 'store'>) {
  return {
    async inventory() {
      const digest = await newDigest()
      const counted = { records: 0, keys: 0, users: recordsOf(store).list('users/').length }
      for (const { path, version } of store.list('')) {
        // A restored cluster has another masking key: its identity alone differs.
        if (path === IDENTITY_PATH) continue
        counted.records += 1
        if (handleOf(path) !== undefined) counted.keys += 1
        digest.update(Buffer.from(`${JSON.stringify([path, version.counter, version.hsmId])}\n`))
      }
      return { ...counted, digest: digest.hex() }
    },
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}
