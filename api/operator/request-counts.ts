/**
 * How many requests there were, by operation and outcome, and how long they took. Counted in plain numbers, since it
 * happens at every request; turned into a metric when somebody asks.
 */

/** Upper bounds in seconds: what a read takes, up to the time after which callers are told to try again. */
export const BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const

export interface OperationCounts {
  readonly operation: string
  /** By outcome: `ok`, or the error's code. */
  readonly outcomes: ReadonlyMap<string, number>
  /** Requests per bucket, not summed up; the last holds what took longer than any bound. */
  readonly buckets: readonly number[]
  readonly seconds: number
}

export interface RequestCounts {
  /** Both texts must come from a fixed set. */
  count(operation: string, outcome: string, ms: number): void
  read(): readonly OperationCounts[]
}

interface Counting {
  readonly operation: string
  readonly outcomes: Map<string, number>
  readonly buckets: number[]
  seconds: number
}

export function requestCounts(): RequestCounts {
  const operations = new Map<string, Counting>()
  const of = (operation: string): Counting => {
    let found = operations.get(operation)
    if (!found) {
      found = { operation, outcomes: new Map(), buckets: new Array<number>(BUCKETS.length + 1).fill(0), seconds: 0 }
      operations.set(operation, found)
    }
    return found
  }
  return {
    count: (operation, outcome, ms) => {
      const counting = of(operation)
      counting.outcomes.set(outcome, (counting.outcomes.get(outcome) ?? 0) + 1)
      const seconds = ms / 1000
      counting.seconds += seconds
      const bucket = BUCKETS.findIndex((bound) => seconds <= bound)
      const at = bucket < 0 ? BUCKETS.length : bucket
      counting.buckets[at] = (counting.buckets[at] ?? 0) + 1
    },
    read: () => [...operations.values()],
  }
}
