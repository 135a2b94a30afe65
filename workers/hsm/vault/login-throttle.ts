/**
 * Keeps guessing slow and cheap to refuse: few password checks at once, short queues for each user and address, and a
 * growing delay after failures of either.
 */
import { HsmError } from '../protocol/errors.ts'

export interface ThrottleLimits {
  /** Password checks at once; each holds 16 MiB and a thread of libuv's four. */
  readonly concurrent: number
  /** Attempts that may wait or be under way, in all, for one user and for one address. */
  readonly waiting: { readonly all: number; readonly user: number; readonly address: number }
  /** Failures that cost no delay. */
  readonly freeFailures: { readonly user: number; readonly address: number }
  readonly firstDelayMs: number
  readonly longestDelayMs: number
  /** A failure is forgotten after this long. */
  readonly forgetMs: number
}

export const LOGIN_LIMITS: ThrottleLimits = {
  concurrent: 2,
  waiting: { all: 256, user: 64, address: 128 },
  freeFailures: { user: 2, address: 10 },
  firstDelayMs: 50,
  longestDelayMs: 2_000,
  forgetMs: 5_000,
}

/** Time in milliseconds, so that a simulation can hand in its own. */
export interface ThrottleClock {
  readonly now: () => number
  readonly sleep: (ms: number) => Promise<void>
}

const SYSTEM: ThrottleClock = {
  now: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)),
}

/** Names and addresses remembered; the oldest are forgotten first. */
const REMEMBERED = 10_000

interface Record {
  waiting: number
  failures: number
  failedAt: number
}

export class LoginThrottle {
  readonly #limits: ThrottleLimits
  readonly #clock: ThrottleClock
  readonly #known = new Map<string, Record>()
  readonly #queue: (() => void)[] = []
  #running = 0
  #waiting = 0

  constructor(limits: ThrottleLimits = LOGIN_LIMITS, clock: ThrottleClock = SYSTEM) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Runs an attempt when it is its turn; its result says whether it succeeded. Throws Busy when too many wait. */
  async attempt(username: string, address: string, check: () => Promise<boolean>): Promise<boolean> {
    const { waiting, freeFailures } = this.#limits
    const user = this.#record(`user ${username}`)
    const from = this.#record(`address ${address}`)
    if (this.#waiting >= waiting.all || user.waiting >= waiting.user || from.waiting >= waiting.address) {
      throw new HsmError('Busy', 'too many logins are under way; try again in a moment')
    }
    this.#waiting += 1
    user.waiting += 1
    from.waiting += 1
    try {
      const delay = Math.max(this.#delay(user, freeFailures.user), this.#delay(from, freeFailures.address))
      if (delay > 0) await this.#clock.sleep(delay)
      await this.#slot()
      try {
        const succeeded = await check()
        this.#note(user, succeeded)
        this.#note(from, succeeded)
        return succeeded
      } finally {
        this.#running -= 1
        this.#queue.shift()?.()
      }
    } finally {
      this.#waiting -= 1
      user.waiting -= 1
      from.waiting -= 1
    }
  }

  async #slot(): Promise<void> {
    if (this.#running >= this.#limits.concurrent) await new Promise<void>((resolve) => this.#queue.push(resolve))
    this.#running += 1
  }

  #delay(record: Record, free: number): number {
    const excess = this.#failures(record) - free
    if (excess <= 0) return 0
    return Math.min(this.#limits.firstDelayMs * 2 ** (excess - 1), this.#limits.longestDelayMs)
  }

  #failures({ failures, failedAt }: Record): number {
    return Math.max(0, failures - Math.floor((this.#clock.now() - failedAt) / this.#limits.forgetMs))
  }

  #note(record: Record, succeeded: boolean): void {
    record.failures = succeeded ? 0 : this.#failures(record) + 1
    record.failedAt = this.#clock.now()
  }

  /** Re-inserted at each use, so that the map's order is that of last use. */
  #record(name: string): Record {
    const record = this.#known.get(name) ?? { waiting: 0, failures: 0, failedAt: 0 }
    this.#known.delete(name)
    this.#known.set(name, record)
    for (const [oldest, { waiting }] of this.#known) {
      if (this.#known.size <= REMEMBERED || waiting > 0) break
      this.#known.delete(oldest)
    }
    return record
  }
}
