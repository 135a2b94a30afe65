/**
 * Work that is prepared now, done a moment later, and looked at after that, so that the same kind of work can be done
 * several times in a row. During an RSA signature the code that reads requests and writes replies goes cold in the
 * processor's caches: request by request, that costs 5% of the RSA-2048 signatures of a second.
 */
export class Later<Result> {
  /** Does the work; to be called once. Never throws. */
  readonly work: () => void
  /** What came of it; after `work`. Throws what went wrong. */
  readonly result: () => Result
  /** What must not be collected before the work is done, since what it works with is freed then. */
  readonly keep: unknown

  constructor(work: () => void, result: () => Result, keep?: unknown) {
    this.work = work
    this.result = result
    this.keep = keep
  }

  /** The same work with another result, also of what went wrong where `rescue` is given. */
  map<Other>(change: (result: Result) => Other, rescue?: (error: unknown) => Other): Later<Other> {
    const result = () => {
      try {
        return change(this.result())
      } catch (error) {
        if (rescue) return rescue(error)
        throw error
      }
    }
    return new Later(this.work, result, this.keep)
  }
}

/** What is there at once, put off, or promised. */
export type Answer<Result> = Result | Later<Result> | Promise<Result>

/** For whoever cannot wait: does put-off work at once. */
export function settled<Result>(value: Result | Later<Result>): Result {
  if (!(value instanceof Later)) return value
  value.work()
  return value.result()
}
