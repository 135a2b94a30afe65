/** What a mechanism is: a name, the key it takes, what policy allows it, and how it is done. */
import type { KeyObject } from 'node:crypto'
import type { ClusterMode } from '../../../provider-schema/limits.ts'
import type { Later } from '../later.ts'
import type { PolicyMechanism } from '../policy/policy-table.ts'
import type { KEY_TYPES, KeyAttributes } from '../protocol/attributes.ts'
import type { HashName } from '../protocol/mechanisms.ts'
import type { ComputedAttributes, KeyClass } from '../vault/attributes.ts'
import type { KeyCurve } from './curves.ts'

export type KeyType = (typeof KEY_TYPES)[number]
/** Of keys that have no halves. */
export type SecretType = Extract<KeyType, 'aes' | 'des3' | 'generic-secret'>

/** A key as a mechanism sees it, ready for node:crypto. */
export interface MechanismKey {
  readonly type: KeyType
  readonly class: KeyClass
  readonly object: KeyObject
  /** RSA only. */
  readonly modulusBits?: number
  /** EC only. */
  readonly curve?: KeyCurve
}

/** A key with the attributes that say what it is for. */
export interface UsableKey extends MechanismKey {
  readonly attributes: KeyAttributes
}

/**
 * Where the work is done: `inline` on the event loop, the fastest when nobody waits; `pool` on libuv's threads. A
 * mechanism whose work is shorter than the way to another thread may stay inline.
 */
export type Place = 'inline' | 'pool'

export interface Signing<Params> {
  readonly name: PolicyMechanism
  readonly keyType: KeyType
  /** A message authentication code: signed and verified with one secret key. */
  readonly secret?: true
  /** Throws MechanismInvalid or InvalidRequest when parameters, key, data and mode do not go together. */
  check(use: 'sign' | 'verify', key: MechanismKey, params: Params, data: Uint8Array, mode: ClusterMode): void
  sign(key: MechanismKey, params: Params, data: Uint8Array, place: Place): Uint8Array | Promise<Uint8Array>
  /** The same on the event loop, but put off; nothing when that cannot be or would not be the best. */
  signLater?(key: MechanismKey, params: Params, data: Uint8Array, place: Place): Later<Uint8Array> | undefined
  verify(
    key: MechanismKey,
    params: Params,
    data: Uint8Array,
    signature: Uint8Array,
    place: Place,
  ): boolean | Promise<boolean>
}

/** What signing mechanisms have in common. */
export interface DigestParams {
  readonly hash: HashName
  /** Whether `data` is the message or its digest. */
  readonly dataType: 'raw' | 'digest'
}

/** Key material just made or taken from a record: its bytes as stored, and what follows from them. */
export interface KeyMaterial {
  readonly class: KeyClass
  /** Secret: the key; private: DER PKCS#8; public: DER SubjectPublicKeyInfo. */
  readonly bytes: Buffer
  readonly object: KeyObject
  readonly attributes: ComputedAttributes
}

export interface PairMaterial {
  readonly publicKey: KeyMaterial
  readonly privateKey: KeyMaterial
}
