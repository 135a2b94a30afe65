/**
 * What each boolean attribute of a key is when nobody says, who may say otherwise at creation, and how it may change
 * later: one table for each class of key (data-plane reference §3.1). Pure data; `attributes.ts` and
 * `attribute-changes.ts` apply it.
 */
import type { BooleanAttribute, DefaultSet, KEY_CLASSES } from '../protocol/attributes.ts'

export type KeyClass = (typeof KEY_CLASSES)[number]

/** How a key comes to be. */
export const ORIGINS = ['generate', 'import', 'unwrap', 'derive'] as const
export type Origin = (typeof ORIGINS)[number]

/**
 * Later changes: `free` either way; `to-true` and `to-false` one way only; `admin` either way, by an admin alone;
 * `never`. A key whose `modifiable` is false changes no more, but for `admin`.
 */
export type Change = 'free' | 'to-true' | 'to-false' | 'admin' | 'never'

export interface AttributeRow {
  readonly default: Readonly<Record<DefaultSet, boolean | Readonly<Record<Origin, boolean>>>>
  /** Values a creator may ask for. */
  readonly creation: Readonly<Record<DefaultSet, readonly boolean[]>>
  readonly change: Change
  /** On hsm1.medium, where it differs. */
  readonly changeOnHsm1?: Change
  /** Why a value is refused at creation. */
  readonly why?: string
}

/** Attributes that somebody chooses. The HSM computes the others: always-sensitive, never-extractable and local. */
export const COMPUTED = ['always-sensitive', 'never-extractable', 'local'] as const
export type RuledAttribute = Exclude<BooleanAttribute, (typeof COMPUTED)[number]>
type Table = Readonly<Record<RuledAttribute, AttributeRow>>

const all = <T>(value: T): Readonly<Record<DefaultSet, T>> => ({ cli: value, pkcs11: value, jce: value })
const either = all<readonly boolean[]>([true, false])

/** Off for everybody, anybody may choose, and choose again. */
const off: AttributeRow = { default: all(false), creation: either, change: 'free' }
const on: AttributeRow = { ...off, default: all(true) }
/** A use that JCE's keys have unless told otherwise. */
const use: AttributeRow = { ...off, default: { cli: false, pkcs11: false, jce: true } }
const fixed = (value: boolean, why: string): AttributeRow => ({
  default: all(value),
  creation: all<readonly boolean[]>([value]),
  change: 'never',
  why,
})

/** PKCS#11 makes session keys where nobody says, and so does JCE; the CLI has a flag for it. */
const token: AttributeRow = {
  default: { cli: true, pkcs11: false, jce: false },
  creation: either,
  change: 'to-true',
}
const common = {
  token,
  private: fixed(true, 'only the default, true, is accepted'),
  destroyable: on,
  modifiable: { ...on, change: 'to-false' },
  extractable: { ...on, change: 'to-false', changeOnHsm1: 'never' },
  trusted: {
    default: all(false),
    creation: all<readonly boolean[]>([false]),
    change: 'admin',
    why: 'only an admin sets it, on a key that exists',
  },
  'wrap-with-trusted': { ...off, change: 'to-true' },
} as const satisfies Partial<Table>

/** C_CreateObject, C_UnwrapKey and C_DeriveKey make keys that neither sign nor verify; C_GenerateKey does not. */
const signs: AttributeRow = {
  default: { cli: true, pkcs11: { generate: true, import: false, unwrap: false, derive: false }, jce: true },
  creation: either,
  change: 'free',
}

export const ATTRIBUTE_TABLES = {
  'secret-key': {
    ...common,
    encrypt: use,
    decrypt: use,
    sign: signs,
    verify: signs,
    wrap: use,
    unwrap: use,
    derive: off,
    sensitive: {
      default: all(true),
      creation: { ...either, cli: [true] },
      change: 'to-true',
      why: 'the CLI makes sensitive secret keys only',
    },
  },
  'public-key': {
    ...common,
    encrypt: use,
    decrypt: off,
    sign: off,
    verify: use,
    wrap: use,
    unwrap: fixed(false, 'a public key unwraps nothing'),
    derive: fixed(false, 'a public key derives nothing'),
    sensitive: fixed(false, 'a public key is not secret'),
  },
  'private-key': {
    ...common,
    encrypt: off,
    decrypt: use,
    sign: use,
    verify: off,
    wrap: fixed(false, 'a private key wraps nothing'),
    unwrap: use,
    // RSA private keys of hsm1.medium are the exception: attribute-changes.ts.
    derive: off,
    sensitive: { default: all(true), creation: either, change: 'to-true' },
  },
} as const satisfies Readonly<Record<KeyClass, Table>>
