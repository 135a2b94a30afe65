/** Things by key, at most so many bytes of them: what was stored longest ago is forgotten first. */

export interface BoundedStore<Value> {
  get(key: string): Value | undefined
  has(key: string): boolean
  /** `bytes`: what the value takes; one that takes more than everything together may is not kept. */
  set(key: string, value: Value, bytes: number): void
  clear(): void
}

export function boundedStore<Value>(mostBytes: number): BoundedStore<Value> {
  const kept = new Map<string, { readonly value: Value; readonly bytes: number }>()
  let total = 0
  const forget = (key: string) => {
    const found = kept.get(key)
    if (!found) return
    total -= found.bytes
    kept.delete(key)
  }
  return {
    get: (key) => kept.get(key)?.value,
    has: (key) => kept.has(key),
    set: (key, value, bytes) => {
      forget(key)
      // The key and the entry itself take room too.
      const all = bytes + 2 * key.length + 128
      if (all > mostBytes) return
      for (const oldest of kept.keys()) {
        if (total + all <= mostBytes) break
        forget(oldest)
      }
      kept.set(key, { value, bytes: all })
      total += all
    },
    clear: () => {
      kept.clear()
      total = 0
    },
  }
}
