/** How records travel between the HSMs of a cluster: each sealed under the masking key, bound to its path and version. */
import { HsmError } from '../protocol/errors.ts'
import type { VersionedRecord } from '../vault/record-store.ts'
import { sealFor } from '../vault/seal.ts'
import type { SealedRecord } from './peer-operations.ts'

export interface Masking {
  seal(record: VersionedRecord): SealedRecord
  /** Throws HsmError DecryptionFailed when the record was altered or comes from another cluster. */
  open(record: SealedRecord): VersionedRecord
}

export function maskingWith(maskingKey: Uint8Array): Masking {
  const seal = sealFor(maskingKey, 'replication')
  return {
    seal({ path, version, value }) {
      const deleted = value === undefined
      const sealed = seal.seal(nameOf({ path, version, deleted }), value ?? new Uint8Array())
      return { path, version, deleted, sealed }
    },
    open(record) {
      const { path, version, deleted } = record
      try {
        const value = seal.open(nameOf(record), record.sealed)
        return deleted ? { path, version } : { path, version, value }
      } catch (cause) {
        throw new HsmError('DecryptionFailed', `the record ${path} was not sealed by this cluster`, { cause })
      }
    },
  }
}

/** Deletion is part of the name: nobody without the masking key deletes a record. */
function nameOf({ path, version, deleted }: Pick<SealedRecord, 'path' | 'version' | 'deleted'>): string {
  return JSON.stringify([path, version.counter, version.hsmId, deleted])
}
