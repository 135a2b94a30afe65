/**
 * Which uses of a key exclude each other. PKCS#11 lets one key wrap and decrypt: whoever may use such a key wraps
 * another with it and decrypts the result, and so reads what is sensitive (Clulow, "On the security of PKCS#11", CHES
 * 2003; Bortolozzo, Centenaro, Focardi and Steel, "Attacking and fixing PKCS#11 security tokens", CCS 2010, attacks a1
 * and a2). AWS permits that too, and offers `wrap-with-trusted` against it.
 */
import type { KeySeparation } from '../../../provider-schema/key-separation.ts'
import type { KeyAttributes } from '../protocol/attributes.ts'
import { HsmError } from '../protocol/errors.ts'

/** A key as these rules see it. */
export interface SeparatedKey {
  readonly attributes: KeyAttributes
  /** Whether an admin ever called it trusted. */
  readonly onceTrusted: boolean
}

const INWARD = ['encrypt', 'decrypt'] as const
const OUTWARD = ['wrap', 'unwrap'] as const

type Uses = Pick<KeyAttributes, (typeof INWARD)[number] | (typeof OUTWARD)[number] | 'class'>

/** Of the keys that one request makes: the halves of a pair count as one. Throws PolicyRefused. */
export function requireSeparateUses(level: KeySeparation, made: readonly Uses[]): void {
  if (level !== 'strict') return
  const has = (names: readonly (keyof Uses)[]) => made.some((uses) => names.some((name) => uses[name] === true))
  if (made.some((uses) => uses.decrypt || (uses.class === 'secret-key' && uses.encrypt)) && has(OUTWARD)) {
    throw refused(level, 'a key that wraps or unwraps keys neither encrypts nor decrypts data')
  }
}

/**
 * Later changes. What a key wrapped is still about when `wrap` is false again: so a key that was ever trusted never
 * comes to encrypt or decrypt, and strictly none of these uses changes. Throws PolicyRefused.
 */
export function requireSeparateChange(
  level: KeySeparation,
  key: SeparatedKey,
  kin: readonly SeparatedKey[],
  names: readonly string[],
  turnedOn: readonly string[],
): void {
  if (level === 'aws') return
  const trusted = wasTrusted([key, ...kin])
  if (trusted && turnedOn.some((name) => INWARD.some((use) => use === name))) {
    throw refused(level, 'a key that was ever trusted never comes to encrypt or decrypt data')
  }
  if (trusted && names.includes('unwrap-template')) {
    throw refused(level, 'the unwrap-template of a key that was ever trusted stays as it is')
  }
  if (level === 'strict' && names.some((name) => [...INWARD, ...OUTWARD].some((use) => use === name))) {
    throw refused(level, 'encrypt, decrypt, wrap and unwrap are chosen when a key is made, and stay')
  }
}

/** Strictly an admin trusts only what nobody knows. Throws PolicyRefused. */
export function requireTrustworthy(level: KeySeparation, { attributes }: SeparatedKey): void {
  if (level !== 'strict' || attributes.class === 'public-key') return
  if (attributes.local && attributes['never-extractable']) return
  throw refused(level, 'a trusted key was made in the HSM and was never extractable')
}

/** A copy that decrypts reads what was wrapped with a key that was ever trusted. Throws PolicyRefused. */
export function requireSeparateCopy(
  level: KeySeparation,
  made: { readonly attributes: KeyAttributes },
  kin: readonly SeparatedKey[],
): void {
  if (level === 'aws' || !wasTrusted(kin) || !reads(made)) return
  throw refused(level, 'a copy of a key that was ever trusted never encrypts or decrypts data')
}

/**
 * Wrapping a payload, which is extractable, with a key that wraps. Each comes with its kin: its copies, and the other
 * half of its pair. Throws PolicyRefused.
 */
export function requireSeparateWrap(
  level: KeySeparation,
  [wrapping, ...wrappingKin]: readonly [SeparatedKey, ...SeparatedKey[]],
  [payload, ...payloadKin]: readonly [SeparatedKey, ...SeparatedKey[]],
): void {
  if (level === 'aws') return
  if (wasTrusted([payload, ...payloadKin])) throw refused(level, 'a key that was ever trusted does not leave the HSM')
  const { attributes } = payload
  if (level === 'strict' && attributes.sensitive && (attributes.wrap || attributes.unwrap)) {
    // Unwrapped again, to decrypt, it would read all that it wrapped.
    throw refused(level, 'a key that wraps or unwraps keys does not leave the HSM')
  }
  const guarded = attributes['wrap-with-trusted'] || (level === 'strict' && attributes.sensitive)
  if (guarded && [wrapping, ...wrappingKin].some(reads)) {
    throw refused(level, 'a key that encrypts or decrypts data does not wrap this key')
  }
  if (level === 'strict' && attributes.sensitive && !wrapping.attributes.trusted && !wrapping.attributes.local) {
    throw refused(level, 'a key that came from outside wraps no sensitive key unless an admin trusts it')
  }
}

/** What a key must be that is unwrapped with this one, or derived from it. */
export type Inherited = Partial<Record<'sensitive' | 'wrap-with-trusted' | 'extractable', boolean>>

/** What was wrapped for trusted keys alone comes back so, or it could be wrapped anew for others. */
export function inheritedByUnwrapping(level: KeySeparation, unwrappingAndKin: readonly SeparatedKey[]): Inherited {
  if (level === 'aws') return {}
  const trusted = wasTrusted(unwrappingAndKin)
  return {
    ...(trusted && { sensitive: true, 'wrap-with-trusted': true }),
    ...(level === 'strict' && { sensitive: true }),
  }
}

/** A key derived from a guarded one is as well guarded. */
export function inheritedByDeriving(level: KeySeparation, { attributes }: SeparatedKey): Inherited {
  if (level === 'aws') return {}
  return {
    ...(attributes['wrap-with-trusted'] && { sensitive: true, 'wrap-with-trusted': true }),
    ...(level === 'strict' && attributes.sensitive && { sensitive: true }),
    ...(level === 'strict' && !attributes.extractable && { extractable: false }),
  }
}

const wasTrusted = (keys: readonly SeparatedKey[]) => keys.some(({ onceTrusted }) => onceTrusted)

/** What a public key encrypts anybody can encrypt: only the other half reads. */
const reads = ({ attributes }: { readonly attributes: KeyAttributes }) =>
  attributes.decrypt || (attributes.class === 'secret-key' && attributes.encrypt)

const refused = (level: KeySeparation, rule: string) =>
  new HsmError('PolicyRefused', `the key separation of this HSM (${level}) refuses that: ${rule}`)
