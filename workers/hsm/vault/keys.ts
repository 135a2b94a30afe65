/** The keys of a cluster as this HSM holds them: token keys (records) and session keys (this HSM's memory only). */
import { randomBytes } from 'node:crypto'
import type { KeyMaterial } from '../mechanisms/mechanism.ts'
import type { Caller } from '../policy/roles.ts'
import { HsmError } from '../protocol/errors.ts'
import type { AttributeTemplate, KeyInfo } from '../protocol/attributes.ts'
import { attributesAtCreation, matching, type KeyClass } from './attributes.ts'
import { HeldKey, type SessionScope } from './held-key.ts'
import { KeyIndex } from './key-index.ts'
import { decodeKey, encodeKey, handleOf, keyPath } from './key-record.ts'
import type { FeedEntry } from './record-store.ts'
import { Room } from './room.ts'
import { SPREAD_TIMEOUT_MS, TWO_COPIES_TEXT, writeReplicated, type Vaulted } from './replicated-write.ts'

export interface KeysOptions extends Vaulted {
  readonly hsmType: () => string
  readonly userExists: (username: string) => boolean
}

/** One key to be made: what it is to be, before there is material. */
export interface KeyOrder {
  readonly class: KeyClass
  readonly template: AttributeTemplate
}

export interface CreateOptions {
  readonly owner: Caller
  readonly scope: SessionScope
  readonly requireTwoCopies: boolean
  /** In the order of the material that `generate` gives. */
  readonly orders: readonly KeyOrder[]
  readonly generate: () => readonly KeyMaterial[] | Promise<readonly KeyMaterial[]>
}

interface Filter {
  readonly handle?: string | undefined
  readonly attributes: Readonly<Record<string, string | boolean | number>>
}

interface Made {
  readonly key: HeldKey
  readonly token: boolean
}

export class Keys {
  readonly #options: KeysOptions
  readonly #index = new KeyIndex()
  readonly #room = new Room(this.#index)
  /** Owners of keys that are being made, once for each creation. */
  readonly #creating: string[] = []

  constructor(options: KeysOptions) {
    this.#options = options
    for (const entry of options.store.feedAfter(0, Infinity)) this.#take(entry)
    options.store.onCommit((entries) => entries.forEach((entry) => this.#take(entry)))
  }

  get count(): number {
    return this.#index.keys
  }

  /** Of these, the session keys. */
  get sessionCount(): number {
    return this.#index.sessionKeys
  }

  /** Whether the user has keys, or is about to. */
  ownsKeys(username: string): boolean {
    return this.#index.ownedBy(username) > 0 || this.#creating.includes(username)
  }

  /**
   * Makes keys, all or none. Everything that can refuse does so before the work of making them, as far as it can be
   * known then. Throws InvalidRequest, LimitExceeded, NotEnoughCopies, StorageFailed.
   */
  async create(options: CreateOptions): Promise<KeyInfo[]> {
    const { owner, orders } = options
    const tokens = orders.filter(({ template }) => template.token !== false)
    if (tokens.length > 0 && options.requireTwoCopies && this.#options.replication.members().length < 2) {
      throw new HsmError('NotEnoughCopies', TWO_COPIES_TEXT)
    }
    for (const order of orders) attributesAtCreation(order.class, order.template, NOTHING_COMPUTED)
    const classes = orders.map((order) => order.class)
    const places = this.#room.take(this.#options.hsmType(), classes)
    this.#creating.push(owner.username)
    try {
      const materials = await options.generate()
      const made = orders.map((order, i) => this.#make(options, order, materials[i]))
      places.forEach((place, i) => this.#room.name(made[i]?.key.handle ?? '', place))
      if (!this.#options.userExists(owner.username)) {
        throw new HsmError('NotAuthenticated', `the user ${owner.username} is gone`)
      }
      await this.#writeTokens(made, options.requireTwoCopies)
      for (const { key, token } of made) {
        if (token) continue
        this.#hold(key)
        options.scope.handles.add(key.handle)
      }
      return made.map(({ key }) => this.#present(this.#index.get(key.handle) ?? key))
    } finally {
      this.#room.giveBack(places)
      this.#creating.splice(this.#creating.indexOf(owner.username), 1)
    }
  }

  /** Keys the caller may see that match, in order of handle. */
  find(
    caller: Caller,
    filter: Filter,
    { offset, limit }: { offset: number; limit: number },
  ): { keys: KeyInfo[]; total: number } {
    const isWanted = matching(filter.attributes)
    const wanted = this.#candidates(filter).filter((key) => key.visibleTo(caller) && isWanted(key.attributes))
    const keys = wanted.slice(offset, offset + limit).map((key) => this.#present(key))
    return { keys, total: wanted.length }
  }

  /** A key the caller may use. Throws KeyNotFound, the same for none and for another's; NotEnoughCopies. */
  usable(caller: Caller, handle: string, requireTwoCopies: boolean): HeldKey {
    const key = this.#visible(caller, handle)
    if (requireTwoCopies && key.seq !== undefined && this.#options.replication.copies(key.seq) < 2) {
      throw new HsmError('NotEnoughCopies', TWO_COPIES_TEXT)
    }
    return key
  }

  /** Only its owner deletes a key, and only while it is destroyable. The other half of a pair stays. */
  async delete(caller: Caller, handle: string): Promise<void> {
    const key = this.#visible(caller, handle)
    if (key.owner !== caller.username) {
      throw new HsmError('PermissionDenied', 'only its owner deletes a key')
    }
    if (!key.attributes.destroyable) {
      throw new HsmError('KeyFunctionNotPermitted', "the key's attribute destroyable is false")
    }
    if (key.seq === undefined) {
      this.#forget(key)
      return
    }
    const { store, replication } = this.#options
    const entries = await store.write([{ path: keyPath(handle), value: undefined }])
    await replication.spread(entries, SPREAD_TIMEOUT_MS)
  }

  /** The session is over: its keys are gone. */
  endSession(scope: SessionScope): void {
    for (const handle of scope.handles) {
      const key = this.#index.get(handle)
      if (key) this.#forget(key)
    }
    scope.handles.clear()
  }

  #visible(caller: Caller, handle: string): HeldKey {
    const key = this.#index.get(handle)
    if (!key?.visibleTo(caller)) throw new HsmError('KeyNotFound', `there is no key ${handle}`)
    return key
  }

  /** As few as can be told without looking at each: an HSM holds up to 16,666. */
  #candidates({ handle, attributes: { label } }: Filter): readonly HeldKey[] {
    if (handle === undefined) return typeof label === 'string' ? this.#index.withLabel(label) : this.#index.inOrder()
    const key = this.#index.get(handle)
    return key ? [key] : []
  }

  #make({ owner }: CreateOptions, order: KeyOrder, material: KeyMaterial | undefined): Made {
    if (material?.class !== order.class) throw new Error(`a ${order.class} was ordered`)
    const record = {
      owner: owner.username,
      sharedWith: [],
      attributes: attributesAtCreation(order.class, order.template, material.attributes),
      material: material.bytes,
    }
    return { key: new HeldKey(this.#newHandle(), record, undefined, material.object), token: record.attributes.token }
  }

  async #writeTokens(made: readonly Made[], requireTwoCopies: boolean): Promise<void> {
    const changes = made
      .filter(({ token }) => token)
      .map(({ key }) => ({
        path: keyPath(key.handle),
        value: encodeKey({
          owner: key.owner,
          sharedWith: [...key.sharedWith],
          attributes: key.attributes,
          material: key.material,
        }),
      }))
    if (changes.length === 0) return
    await writeReplicated(this.#options, changes, { copies: requireTwoCopies ? 2 : 1, refusal: TWO_COPIES_TEXT })
  }

  /** 64 random bits: two HSMs that make keys at once do not choose the same. */
  #newHandle(): string {
    for (;;) {
      const handle = `0x${randomBytes(8).toString('hex')}`
      if (!this.#index.get(handle) && !/^0x0+$/.test(handle)) return handle
    }
  }

  #forget(key: HeldKey): void {
    this.#index.delete(key.handle)
    key.material.fill(0)
  }

  #take({ path, value, seq }: FeedEntry): void {
    const handle = handleOf(path)
    if (handle === undefined) return
    if (value === undefined) this.#index.delete(handle)
    else this.#hold(new HeldKey(handle, decodeKey(value), seq))
  }

  #hold(key: HeldKey): void {
    this.#index.set(key)
    this.#room.arrived(key.handle)
  }

  #present(key: HeldKey): KeyInfo {
    const { handle, owner, attributes } = key
    return { handle, owner, sharedWith: [...key.sharedWith], coverage: this.#coverage(key), attributes }
  }

  #coverage({ seq }: HeldKey): KeyInfo['coverage'] {
    if (seq === undefined) return 'session'
    const { replication } = this.#options
    return replication.copies(seq) >= replication.members().length ? 'full' : 'partial'
  }
}

/** Stands in for what follows from material while a template is only checked. */
const NOTHING_COMPUTED = { 'key-type': 'aes', 'check-value': '0x', 'key-length-bytes': 0 } as const
