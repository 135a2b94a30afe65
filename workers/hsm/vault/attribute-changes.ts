/** Who may change which attribute of a key that exists (data-plane reference §3.1). */
import type { HsmType } from '../../../provider-schema/limits.ts'
import type { Caller } from '../policy/roles.ts'
import { BOOLEAN_ATTRIBUTES, type AttributeChange, type BooleanAttribute } from '../protocol/attributes.ts'
import { HsmError } from '../protocol/errors.ts'
import { ATTRIBUTE_TABLES, COMPUTED, type AttributeRow, type Change, type RuledAttribute } from './attribute-tables.ts'
import type { HeldKey } from './held-key.ts'
import type { KeyChange } from './key-changes.ts'

const HSM1: HsmType = 'hsm1.medium'

/**
 * What a change comes to: attributes that have the value already are left out. Throws InvalidRequest for what no key of
 * this kind may change, PermissionDenied for what somebody else may, KeyFunctionNotPermitted for a key that is not
 * modifiable.
 */
export function changesOf(key: HeldKey, change: AttributeChange, caller: Caller, hsmType: string): KeyChange[] {
  const changes: KeyChange[] = []
  for (const name of BOOLEAN_ATTRIBUTES) {
    const value = change[name]
    if (value === undefined) continue
    requireWho(name, key, caller)
    if (key.attributes[name] === value) continue
    requireChange(name, value, key, hsmType)
    changes.push({ name, value })
  }
  for (const name of ['label', 'id'] as const) {
    const value = name === 'id' ? change.id?.toLowerCase() : change.label
    if (value === undefined) continue
    requireWho(name, key, caller)
    if (key.attributes[name] === value) continue
    if (name === 'id' && hsmType === HSM1) throw frozen(name, `an HSM of type ${HSM1} keeps it`)
    changes.push({ name, value })
  }
  for (const name of ['wrap-template', 'unwrap-template'] as const) {
    const value = change[name]
    if (value === undefined) continue
    requireWho(name, key, caller)
    changes.push({ name, value })
  }
  return changes
}

/** An admin sets `trusted` on anybody's key and nothing else; the owner sets the rest. */
function requireWho(name: string, key: HeldKey, { username, role }: Caller): void {
  if (name === 'trusted') {
    if (role === 'admin') return
    throw new HsmError('PermissionDenied', 'only an admin sets the attribute trusted')
  }
  if (role === 'admin') {
    throw new HsmError('PermissionDenied', `an admin sets the attribute trusted only, not ${name}`)
  }
  if (key.owner !== username) throw new HsmError('PermissionDenied', "only its owner changes a key's attributes")
  if (!key.attributes.modifiable) {
    throw new HsmError('KeyFunctionNotPermitted', "the key's attribute modifiable is false")
  }
}

function requireChange(name: BooleanAttribute, value: boolean, key: HeldKey, hsmType: string): void {
  if (!isRuled(name)) throw frozen(name, 'the HSM computes it')
  const row: AttributeRow = ATTRIBUTE_TABLES[key.class][name]
  const change = name === 'derive' ? deriveChange(row.change, key, hsmType) : changeOn(row, hsmType)
  if (change === 'never') throw frozen(name, row.why ?? `on a ${key.class} of an HSM of type ${hsmType} it is fixed`)
  if (change === 'to-true' && !value) throw frozen(name, 'it changes from false to true only')
  if (change === 'to-false' && value) throw frozen(name, 'it changes from true to false only')
}

const changeOn = (row: AttributeRow, hsmType: string): Change =>
  hsmType === HSM1 ? (row.changeOnHsm1 ?? row.change) : row.change

/** "Not for RSA on hsm1" (data-plane reference §3.1). */
const deriveChange = (change: Change, { type }: HeldKey, hsmType: string): Change =>
  hsmType === HSM1 && type === 'rsa' ? 'never' : change

const isRuled = (name: BooleanAttribute): name is RuledAttribute => !COMPUTED.some((computed) => computed === name)

const frozen = (name: string, why: string) =>
  new HsmError('InvalidRequest', `the attribute ${name} cannot be changed: ${why}`)
