/**
 * What became of a key after it was made, as records of its own: each attribute that was changed and each user it is or
 * is no longer shared with is one record beside the key's, which itself is never written again. So changes that two HSMs
 * make of one key at once both stand, and none of them takes back, unseen, what the other forbade: in one record for
 * everything, a new label written beside a lagging `extractable` would.
 */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { BOOLEAN_ATTRIBUTES, carriedTemplate, keyAttributes } from '../protocol/attributes.ts'
import { keyHandle } from '../protocol/values.ts'
import type { KeyRecord } from './key-record.ts'

const packr = new Packr({ useRecords: false })
const ATTRIBUTES = 'key-attributes/'
const SHARES = 'key-shares/'

const attributeRecord = z.union([
  ...BOOLEAN_ATTRIBUTES.map((name) => z.object({ name: z.literal(name), value: z.boolean() })),
  z.object({ name: z.enum(['label', 'id']), value: z.string() }),
  z.object({ name: z.enum(['wrap-template', 'unwrap-template']), value: carriedTemplate.nullable() }),
])
const shareRecord = z.object({ username: z.string(), shared: z.boolean() })

export type KeyChange = z.infer<typeof attributeRecord> | z.infer<typeof shareRecord>

/** Where a change of a key is kept. */
export function changePath(handle: string, change: KeyChange): string {
  return 'name' in change ? `${ATTRIBUTES}${handle}/${change.name}` : `${SHARES}${handle}/${change.username}`
}

/** The key that a path belongs to, when it is one of a change. */
export function changedHandle(path: string): string | undefined {
  const prefix = [ATTRIBUTES, SHARES].find((each) => path.startsWith(each))
  return prefix && path.slice(prefix.length, path.indexOf('/', prefix.length))
}

export const encodeChange = (change: KeyChange): Buffer => packr.pack(change)

function decodeChange(path: string, value: Uint8Array): KeyChange {
  const content: unknown = packr.unpack(value)
  return path.startsWith(ATTRIBUTES) ? attributeRecord.parse(content) : shareRecord.parse(content)
}

/** Throws when it is no change of what its path names. */
export function requireChangeRecord(path: string, value: Uint8Array): void {
  const change = decodeChange(path, value)
  const named = changePath(keyHandle.parse(changedHandle(path)), change)
  if (named !== path) throw new TypeError(`it is of ${named}`)
}

/** Whether the record of a sharing says that the key is shared. */
export function sharedBy(path: string, value: Uint8Array): boolean {
  const change = decodeChange(path, value)
  return 'username' in change && change.shared
}

/** The user of a path of a sharing. */
export const shareeOf = (path: string): string | undefined =>
  path.startsWith(SHARES) ? path.slice(path.indexOf('/', SHARES.length) + 1) : undefined

/** A key with what became of it. */
export function withChange(key: KeyRecord, change: KeyChange): KeyRecord {
  if ('username' in change) {
    const others = key.sharedWith.filter((name) => name !== change.username)
    return { ...key, sharedWith: change.shared ? [...others, change.username].sort() : others }
  }
  const entries: [string, unknown][] = Object.entries(key.attributes).filter(([name]) => name !== change.name)
  if (change.value !== null) entries.push([change.name, change.value])
  const attributes = keyAttributes.parse(Object.fromEntries(entries))
  return { ...key, attributes, onceTrusted: key.onceTrusted === true || change.name === 'trusted' }
}

/** The changes of all keys, by key. They may come before the key they belong to. */
export class KeyChanges {
  readonly #byHandle = new Map<string, Map<string, KeyChange>>()

  /** Takes over a record of a change, or its deletion. */
  take(handle: string, path: string, value: Uint8Array | undefined): void {
    const changes = this.#byHandle.get(handle)
    if (value !== undefined) {
      if (changes) changes.set(path, decodeChange(path, value))
      else this.#byHandle.set(handle, new Map([[path, decodeChange(path, value)]]))
      return
    }
    changes?.delete(path)
    if (changes?.size === 0) this.#byHandle.delete(handle)
  }

  /** Paths of the changes of a key. */
  paths(handle: string): string[] {
    return [...(this.#byHandle.get(handle)?.keys() ?? [])]
  }

  /** The key as it is now. */
  applyTo(handle: string, made: KeyRecord): KeyRecord {
    let key = made
    for (const change of this.#byHandle.get(handle)?.values() ?? []) key = withChange(key, change)
    return key
  }
}
