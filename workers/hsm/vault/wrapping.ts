/** What may be wrapped with what, and what unwrapped and derived keys become (data-plane reference §3.3). */
import {
  inheritedByDeriving,
  inheritedByUnwrapping,
  requireSeparateWrap,
  type Inherited,
} from '../policy/key-separation.ts'
import type { AttributeTemplate, CarriedTemplate } from '../protocol/attributes.ts'
import { HsmError } from '../protocol/errors.ts'
import type { KeyClass } from './attribute-tables.ts'
import type { HeldKey } from './held-key.ts'
import type { Keys } from './keys.ts'

/**
 * Whether `payload`, which is the caller's own, may be wrapped with `wrapping`, which the caller may use. Throws
 * KeyFunctionNotPermitted, PolicyRefused.
 */
export function requireWrap(keys: Keys, wrapping: HeldKey, payload: HeldKey): void {
  const kin = keys.kinOf(wrapping)
  if (!wrapping.attributes.wrap) throw refused("the wrapping key's attribute wrap is false")
  if (payload.class === 'public-key') throw refused('a public key is not wrapped: its bytes can be had as they are')
  if (!payload.attributes.extractable) throw refused("the key's attribute extractable is false")
  if ([wrapping, ...kin].includes(payload)) {
    throw refused('a key is not wrapped with itself, with a copy of itself, or with its own public half')
  }
  if (payload.attributes['wrap-with-trusted'] && !wrapping.attributes.trusted) {
    throw refused('the key is to be wrapped with trusted keys only, and the wrapping key is not trusted')
  }
  requireTemplate(wrapping, payload)
  requireSeparateWrap(keys.separation, [wrapping, ...kin], [payload, ...keys.kinOf(payload)])
}

function requireTemplate(wrapping: HeldKey, payload: HeldKey): void {
  for (const [name, value] of Object.entries(wrapping.attributes['wrap-template'] ?? {})) {
    if (value === undefined || Reflect.get(payload.attributes, name) === value) continue
    throw refused(`the wrapping key's wrap-template asks for ${name}=${String(value)}`)
  }
}

/** What an unwrapped key is to be. */
export interface UnwrapOrder {
  readonly class: KeyClass
  readonly type: HeldKey['type']
  readonly attributes: AttributeTemplate
}

/**
 * The template of a key unwrapped with `unwrapping`: the caller's and the key's unwrap-template together, and what the
 * key's protection asks for. Throws KeyFunctionNotPermitted, and InvalidRequest for what contradicts.
 */
export function unwrapTemplate(keys: Keys, unwrapping: HeldKey, order: UnwrapOrder): AttributeTemplate {
  if (!unwrapping.attributes.unwrap) throw refused("the unwrapping key's attribute unwrap is false")
  const { class: keyClass, 'key-type': keyType, ...carried } = unwrapping.attributes['unwrap-template'] ?? {}
  if ((keyClass ?? order.class) !== order.class || (keyType ?? order.type) !== order.type) {
    throw conflict('unwrap-template', keyClass === order.class ? 'key-type' : 'class')
  }
  const inherited = inheritedByUnwrapping(keys.separation, [unwrapping, ...keys.kinOf(unwrapping)])
  return joined(joined(order.attributes, carried, 'unwrap-template'), inherited, 'key separation')
}

/** The template of a key derived from `base`, which is the caller's own. Throws as `unwrapTemplate`. */
export function deriveTemplate(keys: Keys, base: HeldKey, attributes: AttributeTemplate): AttributeTemplate {
  if (!base.attributes.derive) throw refused("the key's attribute derive is false")
  return joined(attributes, inheritedByDeriving(keys.separation, base), 'key separation')
}

function joined(asked: AttributeTemplate, demanded: CarriedTemplate | Inherited, whose: string): AttributeTemplate {
  for (const [name, value] of Object.entries(demanded)) {
    const wanted: unknown = Reflect.get(asked, name)
    if (value !== undefined && wanted !== undefined && wanted !== value) throw conflict(whose, name)
  }
  return { ...asked, ...demanded }
}

const refused = (why: string) => new HsmError('KeyFunctionNotPermitted', why)
const conflict = (whose: string, name: string) =>
  new HsmError('InvalidRequest', `the attribute ${name} contradicts the ${whose} of the key`)
