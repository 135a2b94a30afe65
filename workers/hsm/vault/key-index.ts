/** All keys of this HSM by handle, by label and in order; counted, also by owner. */
import type { HeldKey } from './held-key.ts'

export class KeyIndex {
  readonly #byHandle = new Map<string, HeldKey>()
  /** A label that looks like hexadecimal is kept in lower case, since filters compare it so. */
  readonly #byLabel = new Map<string, Set<HeldKey>>()
  readonly #ofOwner = new Map<string, number>()
  #sorted: HeldKey[] | undefined
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
    const label = labelOf(key.attributes.label)
    const namesakes = this.#byLabel.get(label)
    if (namesakes) namesakes.add(key)
    else this.#byLabel.set(label, new Set([key]))
    this.#count(key, 1)
  }

  delete(handle: string): void {
    const key = this.#byHandle.get(handle)
    if (!key) return
    this.#byHandle.delete(handle)
    const label = labelOf(key.attributes.label)
    const namesakes = this.#byLabel.get(label)
    namesakes?.delete(key)
    if (namesakes?.size === 0) this.#byLabel.delete(label)
    this.#count(key, -1)
  }

  /** In ascending order of handle. */
  inOrder(): readonly HeldKey[] {
    this.#sorted ??= [...this.#byHandle.values()].sort(byHandle)
    return this.#sorted
  }

  /** Keys whose label may match, in ascending order of handle. */
  withLabel(label: string): readonly HeldKey[] {
    return [...(this.#byLabel.get(labelOf(label)) ?? [])].sort(byHandle)
  }

  #count(key: HeldKey, change: 1 | -1): void {
    if (key.seq === undefined) this.#session += change
    this.#sorted = undefined
    if (key.asymmetric) this.#asymmetric += change
    const owned = this.ownedBy(key.owner) + change
    if (owned > 0) this.#ofOwner.set(key.owner, owned)
    else this.#ofOwner.delete(key.owner)
  }
}

const labelOf = (label: string) => (/^0x/i.test(label) ? label.toLowerCase() : label)
const byHandle = (a: HeldKey, b: HeldKey) => (a.handle < b.handle ? -1 : 1)
