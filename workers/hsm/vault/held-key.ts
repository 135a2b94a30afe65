/** A key in the memory of this HSM, ready for use. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { curveOf, type KeyCurve } from '../mechanisms/curves.ts'
import type { UsableKey } from '../mechanisms/mechanism.ts'
import type { Caller } from '../policy/roles.ts'
import type { KeyAttributes } from '../protocol/attributes.ts'
import type { KeyClass } from './attributes.ts'
import { keyObjectOf, type KeyRecord } from './key-record.ts'

/** What session keys belong to: when it ends, so do they. */
export interface SessionScope {
  readonly handles: Set<string>
}

export class HeldKey implements UsableKey {
  readonly handle: string
  readonly owner: string
  readonly sharedWith: readonly string[]
  readonly attributes: KeyAttributes
  readonly material: Uint8Array
  readonly type: KeyAttributes['key-type']
  readonly class: KeyClass
  readonly modulusBits?: number
  readonly curve?: KeyCurve
  readonly manageQuorum: number
  readonly useQuorum: number
  /** Whether an admin ever called it trusted: what it wrapped then is still about. */
  readonly onceTrusted: boolean
  /** Where it stands in the change feed; nothing for a session key. */
  readonly seq: number | undefined
  #object: KeyObject | undefined
  #identity: string | undefined
  #publicKey: Buffer | undefined

  constructor(handle: string, record: KeyRecord, seq: number | undefined, object?: KeyObject) {
    const { attributes } = record
    this.handle = handle
    this.owner = record.owner
    this.sharedWith = record.sharedWith
    this.attributes = attributes
    this.material = record.material
    this.type = attributes['key-type']
    this.class = attributes.class
    if (attributes['modulus-size-bits'] !== undefined) this.modulusBits = attributes['modulus-size-bits']
    if (this.type === 'ec') this.curve = curveOf(attributes.curve)
    this.manageQuorum = record.manageQuorum
    this.useQuorum = record.useQuorum
    this.onceTrusted = record.onceTrusted === true
    this.seq = seq
    this.#object = object
  }

  /** Made when first needed, then kept: parsing a private key takes about 0.1 ms. */
  get object(): KeyObject {
    this.#object ??= keyObjectOf(this.class, this.material)
    return this.#object
  }

  /** As records keep it. */
  get record(): KeyRecord {
    const { owner, attributes, material, manageQuorum, useQuorum, onceTrusted } = this
    return { owner, sharedWith: [...this.sharedWith], attributes, material, manageQuorum, useQuorum, onceTrusted }
  }

  /** The same key after a change. */
  as(record: KeyRecord): HeldKey {
    return new HeldKey(this.handle, record, this.seq, this.#object)
  }

  /**
   * The same for every copy of a key, and for both halves of a pair, whatever their attributes say. Keys that share it
   * may still differ where their attributes hold no public key: `sameAs` tells.
   */
  get identity(): string {
    this.#identity ??= identityOf(this)
    return this.#identity
  }

  /** Whether both are copies of one key, or the halves of one pair. */
  sameAs(other: HeldKey): boolean {
    if (this.identity !== other.identity) return false
    return !hasHiddenPublicKey(this) || this.#spki.equals(other.#spki)
  }

  get asymmetric(): boolean {
    return this.class !== 'secret-key'
  }

  /** SubjectPublicKeyInfo of either half, made when first needed: deriving it from an ML-DSA key takes its whole parsing. */
  get #spki(): Buffer {
    this.#publicKey ??=
      this.class === 'public-key'
        ? Buffer.from(this.material)
        : createPublicKey(this.object).export({ type: 'spki', format: 'der' })
    return this.#publicKey
  }

  /** Own keys, keys shared with the caller, all public keys; an admin sees every key and uses none. */
  visibleTo({ username, role }: Caller): boolean {
    return (
      role === 'admin' || this.owner === username || this.class === 'public-key' || this.sharedWith.includes(username)
    )
  }
}

/** Attributes of these types show 24 bits of the public key, the check value: too few to tell pairs apart. */
const hasHiddenPublicKey = ({ type }: HeldKey) => type === 'ml-dsa' || type === 'ml-kem'

/** Secret keys are one key if their bytes are, even under another type. */
function identityOf({ class: keyClass, type, attributes, material }: HeldKey): string {
  if (keyClass === 'secret-key') return createHash('sha256').update(material).digest('hex')
  const { 'check-value': checkValue, modulus, 'ec-point': point } = attributes
  return [type, checkValue, modulus, point].join(' ')
}
