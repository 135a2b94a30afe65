/** The one check that a key, a mechanism and a use go together. */
import { requireAllowed, type Place } from '../policy/mechanism-policy.ts'
import type { PolicyMechanism } from '../policy/policy-table.ts'
import { HsmError } from '../protocol/errors.ts'
import type { KeyClass } from '../vault/attributes.ts'
import type { KeyType, UsableKey } from './mechanism.ts'

/** Uses of a key; each is also the attribute that permits it. */
export type Use = 'sign' | 'verify' | 'encrypt' | 'decrypt' | 'wrap' | 'unwrap' | 'derive'

/** The class of key that each use takes of an algorithm with key pairs. */
const PAIR_CLASS = {
  sign: 'private-key',
  verify: 'public-key',
  encrypt: 'public-key',
  decrypt: 'private-key',
  wrap: 'public-key',
  unwrap: 'private-key',
  derive: 'private-key',
} as const satisfies Record<Use, KeyClass>

export interface Needs {
  readonly name: PolicyMechanism
  readonly keyType: KeyType
  /** Takes a secret key, not half of a pair. */
  readonly secret?: true
}

/** Throws MechanismInvalid or KeyFunctionNotPermitted unless mechanism, use, key and cluster go together. */
export function requireUse(use: Use, { name, keyType, secret }: Needs, key: UsableKey, place: Place): void {
  requireAllowed(name, use, place)
  if (key.type !== keyType) {
    throw new HsmError('MechanismInvalid', `${name} takes a key of type ${keyType}, not ${key.type}`)
  }
  const needed = secret ? 'secret-key' : PAIR_CLASS[use]
  if (key.class !== needed) {
    throw new HsmError('KeyFunctionNotPermitted', `to ${use} with ${name} takes a ${needed}, not a ${key.class}`)
  }
  if (!key.attributes[use]) throw new HsmError('KeyFunctionNotPermitted', `the key's attribute ${use} is false`)
}
