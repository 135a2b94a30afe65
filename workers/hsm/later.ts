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

  /** What the work needs and cannot see to itself: memory that is freed when this is collected. */
  readonly keep: unknown

  constructor(work: () => void, result: () => Result, keep?: unknown) {
    this.work = work
    this.result = result
    this.keep = keep
  }

  map<Other>(change: (result: Result) => Other): Later<Other> {
    return new Later(this.work, () => change(this.result()), this.keep)
  }
}

/** For whoever cannot wait: does put-off work at once. */
export function settled<Result>(value: Result | Later<Result>): Result {
  if (!(value instanceof Later)) return value
  value.work()
  return value.result()
}
