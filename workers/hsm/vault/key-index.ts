/** All keys of this HSM: by handle, in order, and by what is searched for most; counted, also by owner. */
import type { HeldKey } from './held-key.ts'
import { SortedKeys } from './sorted-keys.ts'

/** Attribute values that a search may start from. */
interface Wanted {
  readonly label?: unknown
  readonly id?: unknown
  readonly class?: unknown
  readonly 'key-type'?: unknown
}

export class KeyIndex {
  readonly #all = new SortedKeys()
  readonly #byHandle = new Map<string, HeldKey>()
  /** Label, id, class with type, and identity, each behind its name. */
  readonly #groups = new Map<string, SortedKeys>()
  readonly #ofOwner = new Map<string, number>()
  #asymmetric = 0
  #session = 0

  get keys(): number {
    return this.#byHandle.size
  }

  /** Keys that live in memory only. */
  get sessionKeys(): number {
    return this.#session
  }

  get asymmetricKeys(): number {
    return this.#asymmetric
  }

  get(handle: string): HeldKey | undefined {
    return this.#byHandle.get(handle)
  }

  ownedBy(username: string): number {
    return this.#ofOwner.get(username) ?? 0
  }

  set(key: HeldKey): void {
    this.delete(key.handle)
    this.#byHandle.set(key.handle, key)
    this.#all.add(key)
    for (const group of groupsOf(key)) {
      const keys = this.#groups.get(group)
      if (keys) keys.add(key)
      else this.#groups.set(group, new SortedKeys([key]))
    }
    this.#count(key, 1)
  }

  delete(handle: string): void {
    const key = this.#byHandle.get(handle)
    if (!key) return
    this.#byHandle.delete(handle)
    this.#all.delete(key)
    for (const group of groupsOf(key)) {
      const keys = this.#groups.get(group)
      keys?.delete(key)
      if (keys?.size === 0) this.#groups.delete(group)
    }
    this.#count(key, -1)
  }

  /** The fewest keys among which all that have these values are, in ascending order of handle. */
  among({ label, id, class: keyClass, 'key-type': keyType }: Wanted): readonly HeldKey[] {
    const groups = [
      ...(typeof label === 'string' ? [`label ${folded(label)}`] : []),
      ...(typeof id === 'string' ? [`id ${folded(id)}`] : []),
      ...(typeof keyClass === 'string' && typeof keyType === 'string' ? [`kind ${keyClass} ${keyType}`] : []),
    ]
    let fewest = this.#all
    for (const group of groups) {
      const keys = this.#groups.get(group)
      if (!keys) return []
      if (keys.size < fewest.size) fewest = keys
    }
    return fewest.inOrder
  }

  /** Copies of the key and of its other half, in ascending order of handle. */
  kinOf(key: HeldKey): readonly HeldKey[] {
    const same = this.#groups.get(`identity ${key.identity}`)?.inOrder ?? []
    return same.filter((other) => other.handle !== key.handle && key.sameAs(other))
  }

  #count(key: HeldKey, change: 1 | -1): void {
    if (key.seq === undefined) this.#session += change
    if (key.asymmetric) this.#asymmetric += change
    const owned = this.ownedBy(key.owner) + change
    if (owned > 0) this.#ofOwner.set(key.owner, owned)
    else this.#ofOwner.delete(key.owner)
  }
}

const groupsOf = ({ attributes: { label, id }, class: keyClass, type, identity }: HeldKey) => [
  `label ${folded(label)}`,
  `id ${folded(id)}`,
  `kind ${keyClass} ${type}`,
  `identity ${identity}`,
]

/** What looks like hexadecimal is found in either case, since filters compare it so. */
const folded = (text: string) => (/^0x/i.test(text) ? text.toLowerCase() : text)
