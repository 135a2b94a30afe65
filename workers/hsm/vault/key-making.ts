/** Making keys: what must hold before there is material, room for them, and that enough HSMs have them in the end. */
import { randomBytes } from 'node:crypto'
import type { KeyMaterial } from '../mechanisms/mechanism.ts'
import { requireRoomForKeys } from '../policy/hsm-types.ts'
import type { KeySeparation } from '../../../provider-schema/key-separation.ts'
import { requireSeparateCopy, requireSeparateUses } from '../policy/key-separation.ts'
import type { Caller } from '../policy/roles.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Origin } from './attribute-tables.ts'
import { attributesAtCreation, isTokenKey, type Making } from './attributes.ts'
import { HeldKey, type SessionScope } from './held-key.ts'
import type { KeyIndex } from './key-index.ts'
import { holdingOf, UNSHARED, type Creation, type Holding, type KeyOrder } from './key-order.ts'
import { encodeKey, keyPath, type KeyRecord } from './key-record.ts'
import { requireWritable, TWO_COPIES_TEXT, writeReplicated, type Vaulted } from './replicated-write.ts'
import type { Room } from './room.ts'

/** What keys are subject to. */
export interface KeyRules extends Vaulted {
  readonly hsmType: () => string
  readonly userExists: (username: string) => boolean
  readonly isCryptoUser: (username: string) => boolean
  readonly keySeparation: KeySeparation
}

export interface CreateOptions extends Creation {
  readonly owner: Caller
  readonly scope: SessionScope
  /** Default `generate`. */
  readonly origin?: Origin
  /** The key it is derived from. */
  readonly base?: HeldKey
  /** In the order of the material that `generate` gives. */
  readonly orders: readonly KeyOrder[]
  readonly generate: () => readonly KeyMaterial[] | Promise<readonly KeyMaterial[]>
}

interface Made {
  readonly key: HeldKey
  readonly token: boolean
}

/** The keys there are, and where new ones come to. Token keys come by the store. */
export interface HeldKeys {
  readonly index: KeyIndex
  readonly room: Room
  readonly holdForSession: (key: HeldKey, scope: SessionScope) => void
}

export class KeyMaking {
  readonly #options: KeyRules
  readonly #held: HeldKeys
  /** Owners of keys that are being made, once for each creation. */
  readonly #creating: string[] = []

  constructor(options: KeyRules, held: HeldKeys) {
    this.#options = options
    this.#held = held
  }

  /** Whether keys are being made for the user. */
  isFor(username: string): boolean {
    return this.#creating.includes(username)
  }

  /**
   * Makes keys, all or none. Everything that can refuse does so before the work of making them, as far as it can be
   * known then. Gives the keys as they are held. Throws InvalidRequest, PolicyRefused, UserNotFound, LimitExceeded,
   * NotEnoughCopies, StorageFailed.
   */
  async make(options: CreateOptions): Promise<HeldKey[]> {
    const { owner, orders, origin = 'generate', defaults = 'cli', base } = options
    const making: Making = { origin, defaults, ...(base && { base: base.attributes }) }
    const tokens = orders.filter((order) => isTokenKey(order.class, order.template, making))
    if (tokens.length > 0) requireWritable(this.#options, 'making a token key')
    if (tokens.length > 0 && options.requireTwoCopies && this.#options.replication.members().length < 2) {
      throw new HsmError('NotEnoughCopies', TWO_COPIES_TEXT)
    }
    const planned = orders.map((order) => attributesAtCreation(order.class, order.template, NOTHING_COMPUTED, making))
    requireSeparateUses(this.#options.keySeparation, planned)
    const holding = holdingOf(options, owner.username, orders, this.#options.isCryptoUser)
    const places = this.#held.room.take(
      this.#options.hsmType(),
      orders.map((order) => order.class),
    )
    this.#creating.push(owner.username)
    try {
      const materials = await options.generate()
      const made = orders.map((order, i) => this.#make(owner, holding, making, order, materials[i]))
      for (const { key } of made) requireSeparateCopy(this.#options.keySeparation, key, this.#held.index.kinOf(key))
      places.forEach((place, i) => this.#held.room.name(made[i]?.key.handle ?? '', place))
      if (!this.#options.userExists(owner.username)) {
        throw new HsmError('NotAuthenticated', `the user ${owner.username} is gone`)
      }
      await this.#writeTokens(made, options.requireTwoCopies)
      for (const { key, token } of made) {
        if (!token) this.#held.holdForSession(key, options.scope)
      }
      return made.map(({ key }) => this.#held.index.get(key.handle) ?? key)
    } finally {
      this.#held.room.giveBack(places)
      this.#creating.splice(this.#creating.indexOf(owner.username), 1)
    }
  }

  #make(owner: Caller, holding: Holding, making: Making, order: KeyOrder, material: KeyMaterial | undefined): Made {
    if (material?.class !== order.class) throw new Error(`a ${order.class} was ordered`)
    const attributes = attributesAtCreation(order.class, order.template, material.attributes, making)
    const record: KeyRecord = {
      owner: owner.username,
      ...(order.class === 'public-key' ? UNSHARED : holding),
      attributes,
      material: material.bytes,
    }
    return { key: new HeldKey(this.#newHandle(), record, undefined, material.object), token: attributes.token }
  }

  async #writeTokens(made: readonly Made[], requireTwoCopies: boolean): Promise<void> {
    const tokens = made.filter(({ token }) => token)
    if (tokens.length === 0) return
    const changes = tokens.map(({ key }) => ({ path: keyPath(key.handle), value: encodeKey(key.record) }))
    await writeReplicated(this.#options, changes, {
      copies: requireTwoCopies ? 2 : 1,
      refusal: TWO_COPIES_TEXT,
      // Keys that other HSMs made meanwhile have come by now.
      confirm: () => requireRoomForKeys(this.#options.hsmType(), this.#held.index, { keys: 0, asymmetricKeys: 0 }),
    })
  }

  /** 64 random bits: two HSMs that make keys at once do not choose the same. */
  #newHandle(): string {
    for (;;) {
      const handle = `0x${randomBytes(8).toString('hex')}`
      if (!this.#held.index.get(handle) && !/^0x0+$/.test(handle)) return handle
    }
  }
}

/** Stands in for what follows from material while a template is only checked. */
const NOTHING_COMPUTED = { 'key-type': 'aes', 'check-value': '0x', 'key-length-bytes': 0 } as const
