/** The keys of a cluster as this HSM holds them: token keys (records) and session keys (this HSM's memory only). */
import type { KeySeparation } from '../../../provider-schema/key-separation.ts'
import type { Caller } from '../policy/roles.ts'
import { approvalsPath } from '../quorum/spent-approvals.ts'
import { HsmError } from '../protocol/errors.ts'
import type { KeyInfo } from '../protocol/attributes.ts'
import { matching } from './attributes.ts'
import { HeldKey, type SessionScope } from './held-key.ts'
import { recordsOf, type ContestedRecords } from './contested-records.ts'
import { changedHandle, changePath, encodeChange, KeyChanges, withChange, type KeyChange } from './key-changes.ts'
import { KeyIndex } from './key-index.ts'
import { KeyMaking, type CreateOptions, type KeyRules } from './key-making.ts'
import { decodeKey, encodeKey, handleOf, keyPath } from './key-record.ts'
import type { FeedEntry } from './record-store.ts'
import { Room } from './room.ts'
import { requireWritable, SPREAD_TIMEOUT_MS, TWO_COPIES_TEXT, writeReplicated } from './replicated-write.ts'
import { Serial } from './serial.ts'

/** Of what is shared with one name. All 16,666 in one commit stopped the HSM for 0.6 s. */
const ENDED_AT_ONCE = 256

/** Names of users in one answer about keys: 31 bytes each, where all of it must fit into a frame of 4 MiB. */
const NAMES_AT_ONCE = 20_000

interface Filter {
  readonly handle?: string | undefined
  readonly attributes: Readonly<Record<string, string | boolean | number>>
}

export class Keys {
  readonly #options: KeyRules
  readonly #records: ContestedRecords
  readonly #index = new KeyIndex()
  readonly #changes = new KeyChanges()
  readonly #room = new Room(this.#index)
  readonly #making: KeyMaking
  readonly #oneByOne = new Serial()
  /** Of each session key, the session it ends with. */
  readonly #scopes = new Map<string, SessionScope>()

  constructor(options: KeyRules) {
    this.#options = options
    this.#records = recordsOf(options.store)
    this.#making = new KeyMaking(options, {
      index: this.#index,
      room: this.#room,
      holdForSession: (key, scope) => {
        this.#hold(key)
        scope.handles.add(key.handle)
        this.#scopes.set(key.handle, scope)
      },
    })
    for (const entry of this.#records.all()) this.#take(entry)
    this.#records.onCommit((entries) => entries.forEach((entry) => this.#take(entry)))
  }

  get count(): number {
    return this.#index.keys
  }

  /** Of these, the session keys. */
  get sessionCount(): number {
    return this.#index.sessionKeys
  }

  get separation(): KeySeparation {
    return this.#options.keySeparation
  }

  get isCryptoUser(): (username: string) => boolean {
    return this.#options.isCryptoUser
  }

  get hsmType(): string {
    return this.#options.hsmType()
  }

  /** Whether the user has keys, or is about to. */
  ownsKeys(username: string): boolean {
    return this.#index.ownedBy(username) > 0 || this.#making.isFor(username)
  }

  /**
   * Ends what is shared with a name that nobody has any more, or not yet: who comes under it later has nothing of that. Needs
   * no other HSM at once. Throws StorageFailed.
   */
  async endSharing(username: string): Promise<void> {
    const change = { username, shared: false }
    const shared = [...this.#index.among({})].filter(
      (key) => key.seq !== undefined && key.sharedWith.includes(username),
    )
    for (let i = 0; i < shared.length; i += ENDED_AT_ONCE) {
      const writes = shared
        .slice(i, i + ENDED_AT_ONCE)
        .map(({ handle }) => ({ path: changePath(handle, change), value: encodeChange(change) }))
      await this.#options.store.write(this.#records.stating(writes))
    }
  }

  /** The same for session keys, which only this HSM has. */
  endSessionSharing(username: string): void {
    for (const handle of this.#scopes.keys()) {
      const key = this.#index.get(handle)
      if (key?.sharedWith.includes(username)) this.#hold(key.as(withChange(key.record, { username, shared: false })))
    }
  }

  /**
   * Makes keys, all or none. Throws InvalidRequest, PolicyRefused, UserNotFound, LimitExceeded, NotEnoughCopies,
   * StorageFailed.
   */
  async create(options: CreateOptions): Promise<KeyInfo[]> {
    return (await this.#making.make(options)).map((key) => this.present(key))
  }

  /** Keys the caller may see that match, in order of handle: at most `limit`, fewer when they are shared with very many. */
  find(
    caller: Caller,
    filter: Filter,
    { offset, limit }: { offset: number; limit: number },
  ): { keys: KeyInfo[]; total: number } {
    const isWanted = matching(filter.attributes)
    const wanted = this.#candidates(filter).filter((key) => key.visibleTo(caller) && isWanted(key.attributes))
    const page = fittingPage(wanted.slice(offset, offset + limit))
    return { keys: page.map((key) => this.present(key)), total: wanted.length }
  }

  /** Keys by their handles, in the order asked for; those the caller does not see are left out. */
  describe(caller: Caller, handles: readonly string[]): KeyInfo[] {
    return handles.flatMap((handle) => {
      const key = this.#index.get(handle)
      return key?.visibleTo(caller) ? [this.present(key)] : []
    })
  }

  /**
   * A key the caller may use. Throws KeyNotFound, the same for none and for another's; NotEnoughCopies. While HSMs are
   * swapped a key may be on one of them alone: then it is in the backup before the swap, and nobody can make another.
   */
  usable(caller: Caller, handle: string, requireTwoCopies: boolean): HeldKey {
    const key = this.visible(caller, handle)
    const { replication } = this.#options
    if (requireTwoCopies && !replication.writesLimited && key.seq !== undefined && replication.copies(key.seq) < 2) {
      throw new HsmError('NotEnoughCopies', TWO_COPIES_TEXT)
    }
    return key
  }

  /** A key the caller may see. Throws KeyNotFound, the same for none and for another's. */
  visible(caller: Caller, handle: string): HeldKey {
    const key = this.#index.get(handle)
    if (!key?.visibleTo(caller)) throw new HsmError('KeyNotFound', `there is no key ${handle}`)
    return key
  }

  /** A key that is the caller's own. Throws KeyNotFound, and PermissionDenied for one that is only shared or public. */
  owned(caller: Caller, handle: string, doing: string): HeldKey {
    const key = this.visible(caller, handle)
    if (key.owner !== caller.username) throw new HsmError('PermissionDenied', `only its owner ${doing} a key`)
    return key
  }

  /** Other copies of the key and of its other half that this HSM holds, whoever owns them. */
  kinOf(key: HeldKey): readonly HeldKey[] {
    return this.#index.kinOf(key)
  }

  /** Only its owner deletes a key, and only while it is destroyable. The other half of a pair stays. */
  delete(caller: Caller, handle: string): Promise<void> {
    return this.#oneByOne.run(handle, async () => {
      const key = this.owned(caller, handle, 'deletes')
      if (!key.attributes.destroyable) {
        throw new HsmError('KeyFunctionNotPermitted', "the key's attribute destroyable is false")
      }
      if (key.seq === undefined) {
        this.#forget(key)
        return
      }
      requireWritable(this.#options, 'deleting a token key')
      const { store, replication } = this.#options
      // The changes first: who sees the key gone sees nothing of it left.
      const changes = this.#records.forgetting(this.#changes.paths(handle))
      const approvals = changes.map(({ path }) => approvalsPath(path)).filter((path) => store.get(path)?.value)
      const gone = [...approvals, keyPath(handle)].map((path) => ({ path, value: undefined }))
      const entries = await store.write([...changes, ...gone])
      await replication.spread(entries, SPREAD_TIMEOUT_MS)
    })
  }

  /**
   * Changes a key as `decide` says, which sees it as it is when its turn comes: changes of one key are made one after
   * another. Changes of a token key are held by two HSMs, where there are two, or undone. Throws what `decide` throws,
   * KeyNotFound, NotEnoughCopies, StorageFailed.
   */
  change(caller: Caller, handle: string, decide: (key: HeldKey) => readonly KeyChange[]): Promise<KeyInfo> {
    return this.#oneByOne.run(handle, async () => {
      const key = this.visible(caller, handle)
      const changes = decide(key)
      if (changes.length > 0) await this.#apply(key, changes)
      return this.present(this.#index.get(handle) ?? key)
    })
  }

  /** The session is over: its keys are gone. */
  endSession(scope: SessionScope): void {
    for (const handle of scope.handles) {
      const key = this.#index.get(handle)
      if (key && key.seq === undefined) this.#forget(key)
      this.#scopes.delete(handle)
    }
    scope.handles.clear()
  }

  present(key: HeldKey): KeyInfo {
    const { handle, owner, attributes, manageQuorum, useQuorum } = key
    const sharedWith = [...key.sharedWith]
    return { handle, owner, sharedWith, coverage: this.#coverage(key), manageQuorum, useQuorum, attributes }
  }

  /** As few as can be told without looking at each: an HSM holds up to 16,666. */
  #candidates({ handle, attributes }: Filter): readonly HeldKey[] {
    if (handle === undefined) return this.#index.among(attributes)
    const key = this.#index.get(handle)
    return key ? [key] : []
  }

  async #apply(key: HeldKey, changes: readonly KeyChange[]): Promise<void> {
    const { handle } = key
    if (key.seq !== undefined) {
      const writes = changes.map((change) => ({ path: changePath(handle, change), value: encodeChange(change) }))
      await this.#writeChanges(writes)
      return
    }
    const record = changes.reduce(withChange, key.record)
    if (!record.attributes.token) {
      this.#hold(key.as(record))
      return
    }
    try {
      await this.#writeChanges([{ path: keyPath(handle), value: encodeKey(record) }])
    } catch (error) {
      // Undone, the record took the session key with it. A session that ended meanwhile wants it no more.
      if (this.#scopes.has(handle)) this.#hold(key)
      throw error
    }
    this.#scopes.get(handle)?.handles.delete(handle)
    this.#scopes.delete(handle)
  }

  async #writeChanges(changes: readonly { path: string; value: Uint8Array }[]): Promise<void> {
    const copies = Math.min(2, Math.max(1, this.#options.replication.members().length))
    await writeReplicated(this.#options, changes, { copies, refusal: TWO_COPIES_TEXT })
  }

  #forget(key: HeldKey): void {
    this.#index.delete(key.handle)
    this.#scopes.delete(key.handle)
    key.material.fill(0)
  }

  #take({ path, value, seq }: FeedEntry): void {
    const changed = changedHandle(path)
    if (changed !== undefined) {
      this.#changes.take(changed, path, value)
      this.#refresh(changed)
      return
    }
    const handle = handleOf(path)
    if (handle === undefined) return
    if (value === undefined) {
      this.#index.delete(handle)
      this.#bury(handle)
    } else {
      this.#hold(new HeldKey(handle, this.#changes.applyTo(handle, decodeKey(value)), seq))
    }
  }

  /** A change has come, or went when it was undone. */
  #refresh(handle: string): void {
    const held = this.#index.get(handle)
    const made = this.#options.store.get(keyPath(handle))
    if (made && !made.value) this.#bury(handle)
    else if (made?.value && held) this.#hold(held.as(this.#changes.applyTo(handle, decodeKey(made.value))))
  }

  /** Changes that were made elsewhere while the key was deleted go as well. */
  #bury(handle: string): void {
    const changes = this.#records.forgetting(this.#changes.paths(handle))
    if (changes.length === 0) return
    // What cannot be written now is written when the next change or deletion comes; it concerns no key.
    this.#options.store.write(changes).catch(() => undefined)
  }

  #hold(key: HeldKey): void {
    this.#index.set(key)
    this.#room.arrived(key.handle)
  }

  #coverage({ seq }: HeldKey): KeyInfo['coverage'] {
    if (seq === undefined) return 'session'
    const { replication } = this.#options
    return replication.copies(seq) >= replication.members().length ? 'full' : 'partial'
  }
}

/** The first of these, at least one, whose users fit into one answer. */
function fittingPage(keys: readonly HeldKey[]): readonly HeldKey[] {
  let names = 0
  const end = keys.findIndex(({ sharedWith }, i) => (names += sharedWith.length) > NAMES_AT_ONCE && i > 0)
  return end === -1 ? keys : keys.slice(0, end)
}
