/** Which entries of this HSM's feed a peer is known to hold. */
import type { RecordStore } from '../vault/record-store.ts'

export class Acknowledged {
  readonly #store: Pick<RecordStore, 'feedAfter' | 'lastSeq'>
  #upTo: number
  /** Known entries with unknown ones before them. */
  readonly #beyond = new Set<number>()

  constructor(store: Pick<RecordStore, 'feedAfter' | 'lastSeq'>, upTo = 0) {
    this.#store = store
    this.#upTo = upTo
  }

  /** The peer holds every entry up to this number. */
  get upTo(): number {
    return this.#upTo
  }

  get complete(): boolean {
    return this.#upTo >= this.#store.lastSeq
  }

  knows(seq: number): boolean {
    return seq <= this.#upTo || this.#beyond.has(seq)
  }

  add(seqs: Iterable<number>): void {
    for (const seq of seqs) if (seq > this.#upTo) this.#beyond.add(seq)
    this.#advance()
  }

  raise(upTo: number): void {
    if (upTo <= this.#upTo) return
    this.#upTo = upTo
    for (const seq of this.#beyond) if (seq <= upTo) this.#beyond.delete(seq)
    this.#advance()
  }

  /** The peer lost what it had. */
  reset(): void {
    this.#upTo = 0
    this.#beyond.clear()
  }

  /** The feed has gaps where a path changed again: what comes next in it is the feed's to say. */
  #advance(): void {
    for (let known = this.#beyond.size > 0; known;) {
      const next = this.#store.feedAfter(this.#upTo, 64)
      for (const { seq } of next) {
        known = this.#beyond.delete(seq)
        if (!known) break
        this.#upTo = seq
      }
      known &&= next.length > 0
    }
    // Entries replaced since they were acknowledged are in no feed any more.
    for (const seq of this.#beyond) if (seq <= this.#upTo) this.#beyond.delete(seq)
  }
}
