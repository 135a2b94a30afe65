/** What the rest of an HSM sees of replication. */
import type { HsmError } from '../protocol/errors.ts'
import type { FeedEntry } from '../vault/record-store.ts'
import type { Member } from '../protocol/values.ts'

export interface Replication {
  /** Whether nothing that is kept may change now: see `limitedWrites` of the list of members. */
  readonly writesLimited: boolean
  /** Every HSM of the cluster by the newest membership, this one included; a cluster not founded yet has none. */
  members(): readonly Member[]
  onMembersChanged(listener: (members: readonly Member[]) => void): void
  /**
   * Pushes committed entries to every connected peer and waits: until all connected peers hold or refuse them, or at most
   * `timeoutMs`. Gives how many HSMs, this one included, hold them durably then. Never throws.
   */
  spread(entries: readonly FeedEntry[], timeoutMs: number): Promise<number>
  /** Why an HSM did not take one of these entries over; undefined while none refused. */
  refusalOf(entries: readonly FeedEntry[]): HsmError | undefined
  /**
   * Takes over what every linked member has now, as far as that succeeds in the time. Gives of how many HSMs everything is
   * here, this one included. Never throws.
   */
  catchUp(timeoutMs: number): Promise<number>
  /** How many HSMs of the membership, this one included, are known to hold the entry of this feed number durably. */
  copies(seq: number): number
}
