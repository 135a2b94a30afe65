/** Room for keys that are being made: it is taken before there is a key, and never counted twice once there is. */
import { requireRoomForKeys } from '../policy/hsm-types.ts'
import type { KeyClass } from './attributes.ts'

interface Counted {
  readonly keys: number
  readonly asymmetricKeys: number
}

/** Room for one key. */
interface Place {
  readonly asymmetric: boolean
}

export class Room {
  readonly #held: Counted
  readonly #open = new Set<Place>()
  /** Places of keys that have a handle but are not held yet. */
  readonly #named = new Map<string, Place>()

  /** `held` counts the keys that are there. */
  constructor(held: Counted) {
    this.#held = held
  }

  /** Takes room for keys of these classes. Throws LimitExceeded when an HSM of this type has not so much. */
  take(hsmType: string, classes: readonly KeyClass[]): Place[] {
    const places = classes.map((keyClass) => ({ asymmetric: keyClass !== 'secret-key' }))
    const coming = count(this.#open)
    const held = {
      keys: this.#held.keys + coming.keys,
      asymmetricKeys: this.#held.asymmetricKeys + coming.asymmetricKeys,
    }
    requireRoomForKeys(hsmType, held, count(places))
    for (const place of places) this.#open.add(place)
    return places
  }

  /** The key that a place was taken for will come under this handle. */
  name(handle: string, place: Place): void {
    this.#named.set(handle, place)
  }

  /** A key is held from now on: if a place was taken for it, it is free again. */
  arrived(handle: string): void {
    const place = this.#named.get(handle)
    if (!place) return
    this.#named.delete(handle)
    this.#open.delete(place)
  }

  /** Gives back what is left of places, when their keys are made or given up. */
  giveBack(places: readonly Place[]): void {
    for (const place of places) this.#open.delete(place)
    for (const [handle, place] of this.#named) if (!this.#open.has(place)) this.#named.delete(handle)
  }
}

function count(places: Iterable<Place>): Counted {
  const all = [...places]
  return { keys: all.length, asymmetricKeys: all.filter(({ asymmetric }) => asymmetric).length }
}
