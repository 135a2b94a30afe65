/**
 * The turns of a port's connections that have more to do than one turn takes, first come, first served: one in each round
 * of the event loop. So what arrives meanwhile waits for one turn and not for everybody's.
 */
export class Turns {
  #waiting: (() => void)[] = []
  #scheduled = false

  /** Calls `turn` once, later. It must not throw. */
  ask(turn: () => void): void {
    this.#waiting.push(turn)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const turn = this.#waiting.shift()
      if (this.#waiting.length > 0) this.#schedule()
      turn?.()
    })
  }
}
