/** Which of two states of a record stands: the one rule that makes all HSMs of a cluster end up the same. */
import type { VersionedRecord } from './record-store.ts'

type Stamped = Pick<VersionedRecord, 'version' | 'value'>

/** The higher counter wins; on a tie a tombstone, then the higher HSM id. A record equal to the other is not newer. */
export function isNewer(candidate: Stamped, standing: Stamped | undefined): boolean {
  if (!standing) return true
  if (candidate.version.counter !== standing.version.counter) {
    return candidate.version.counter > standing.version.counter
  }
  const deletes = candidate.value === undefined
  if (deletes !== (standing.value === undefined)) return deletes
  return candidate.version.hsmId > standing.version.hsmId
}
