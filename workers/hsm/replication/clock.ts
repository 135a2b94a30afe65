/** Time and chance, so that a simulation can hand in its own. */
export interface Clock {
  /** Calls back once after some milliseconds; what it gives back calls that off. */
  setTimer(ms: number, fire: () => void): () => void
  /** At least 0, below 1. */
  random(): number
}

export const systemClock: Clock = {
  setTimer(ms, fire) {
    const timer = setTimeout(fire, ms)
    return () => clearTimeout(timer)
  },
  random: () => Math.random(),
}

/** A wait that ends when it is rung for, or after its time. A ring that nobody waits for ends the next wait. */
export class Bell {
  readonly #clock: Clock
  #rung = false
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  async wait(ms?: number): Promise<void> {
    if (!this.#rung) {
      const waited = Promise.withResolvers<undefined>()
      const cancel = ms === undefined ? undefined : this.#clock.setTimer(ms, () => waited.resolve(undefined))
      this.#wake = () => waited.resolve(undefined)
      await waited.promise
      cancel?.()
      this.#wake = undefined
    }
    this.#rung = false
  }
}
