/** The numbered change feed of a store: which path changed last at which number. */

interface Change {
  readonly seq: number
  readonly path: string
}

/**
 * Ascending numbers with their paths. A path changed again stays in the list at its old number until the next tidying;
 * `isCurrent` tells such entries apart.
 */
export class ChangeFeed {
  #changes: Change[] = []
  #live = 0
  readonly #isCurrent: (change: Change) => boolean

  constructor(isCurrent: (change: Change) => boolean) {
    this.#isCurrent = isCurrent
  }

  /**
   * `seq` is higher than every one before; `first` says that the path was never in the feed. Nothing else of the change is
   * kept, such as the value of a record: it must go when the record is deleted.
   */
  append({ seq, path }: Change, first: boolean): void {
    this.#changes.push({ seq, path })
    if (first) this.#live += 1
    if (this.#changes.length > 2 * this.#live + 1024) this.#changes = this.#changes.filter(this.#isCurrent)
  }

  /** Current changes behind `seq`, ascending, at most `limit`. */
  *after(seq: number, limit: number): Generator<Change> {
    let left = limit
    for (let i = this.#firstAfter(seq); i < this.#changes.length && left > 0; i++) {
      const change = this.#changes[i]
      if (change === undefined || !this.#isCurrent(change)) continue
      left -= 1
      yield change
    }
  }

  #firstAfter(seq: number): number {
    let low = 0
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#changes[middle]?.seq ?? 0) > seq) high = middle
      else low = middle + 1
    }
    return low
  }
}
