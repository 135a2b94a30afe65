/** A clock whose time passes as fast as what happens at each of its moments is computed, and chance from a seed. */
import { chanceOf } from '../../../../test/support/chance.ts'
import type { Clock } from '../clock.ts'

interface Timer {
  readonly at: number
  readonly id: number
  /** Undefined when it was called off. */
  fire: (() => void) | undefined
}

const before = (one: Timer, other: Timer) => one.at < other.at || (one.at === other.at && one.id < other.id)

export class SimulatedClock implements Clock {
  #now = 0
  #nextId = 0
  /** A binary heap, earliest first: HSMs of a full cluster have thousands of timers between them. */
  readonly #timers: Timer[] = []
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = chanceOf(seed)
  }

  get now(): number {
    return this.#now
  }

  random(): number {
    return this.#random()
  }

  setTimer(ms: number, fire: () => void): () => void {
    const timer: Timer = { at: this.#now + ms, id: this.#nextId++, fire }
    this.#push(timer)
    return () => {
      timer.fire = undefined
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.setTimer(ms, resolve))
  }

  /** Lets time pass until some work has ended, well or badly. Throws when it does not in a minute. */
  async runUntil(work: Promise<unknown>): Promise<void> {
    const ended = new Set<unknown>()
    void Promise.allSettled([work]).then((result) => ended.add(result))
    for (let ms = 0; ended.size === 0; ms++) {
      if (ms > 60_000) throw new Error('the work does not end')
      await this.run(1)
    }
  }

  /** Lets simulated time pass. */
  async run(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      // All that follows from what has happened so far, however many promises deep.
      await new Promise(setImmediate)
      const next = this.#next()
      if (!next || next.at > end) break
      this.#pop()
      this.#now = next.at
      next.fire?.()
    }
    this.#now = end
  }

  /** The earliest that was not called off. */
  #next(): Timer | undefined {
    while (this.#timers[0] && !this.#timers[0].fire) this.#pop()
    return this.#timers[0]
  }

  #push(timer: Timer): void {
    const heap = this.#timers
    let at = heap.push(timer) - 1
    for (let above = (at - 1) >> 1; at > 0; above = (at - 1) >> 1) {
      const parent = heap[above]
      if (!parent || before(parent, timer)) break
      heap[at] = parent
      at = above
    }
    heap[at] = timer
  }

  #pop(): void {
    const heap = this.#timers
    const last = heap.pop()
    if (!last || heap.length === 0) return
    let at = 0
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
      const below = left && right && before(right, left) ? right : left
      if (!below || before(last, below)) break
      heap[at] = below
      at = below === left ? 2 * at + 1 : 2 * at + 2
    }
    heap[at] = last
  }
}
