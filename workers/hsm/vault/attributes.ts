/** Attributes of keys: what a template and the tables make of them, and finding keys by them. */
import { HsmError } from '../protocol/errors.ts'
import {
  BOOLEAN_ATTRIBUTES,
  type AttributeTemplate,
  type BooleanAttribute,
  type DefaultSet,
  type KeyAttributes,
} from '../protocol/attributes.ts'
import {
  ATTRIBUTE_TABLES,
  COMPUTED,
  type AttributeRow,
  type KeyClass,
  type Origin,
  type RuledAttribute,
} from './attribute-tables.ts'

export type { KeyClass } from './attribute-tables.ts'

/** What a key is by its material, whoever made it. */
export type ComputedAttributes = Omit<
  KeyAttributes,
  BooleanAttribute | 'label' | 'id' | 'class' | 'wrap-template' | 'unwrap-template'
>

/** How a key is made, as far as its attributes follow from it. */
export interface Making {
  readonly origin: Origin
  readonly defaults: DefaultSet
  /** The key it is derived from. */
  readonly base?: Pick<KeyAttributes, 'always-sensitive' | 'never-extractable'>
}

const MADE_BY_CLI: Making = { origin: 'generate', defaults: 'cli' }

/**
 * All attributes of a new key. Throws InvalidRequest when the template asks for what a key of this class cannot have.
 */
export function attributesAtCreation(
  keyClass: KeyClass,
  template: AttributeTemplate,
  computed: ComputedAttributes,
  making: Making = MADE_BY_CLI,
): KeyAttributes {
  for (const name of COMPUTED) {
    if (template[name] !== undefined) throw refused(name, 'the HSM computes it')
  }
  const chosen = (name: RuledAttribute): boolean => {
    const row: AttributeRow = ATTRIBUTE_TABLES[keyClass][name]
    const value = template[name] ?? defaultOf(row, making)
    if (!row.creation[making.defaults].includes(value))
      throw refused(`${name}=${value} on a ${keyClass}`, row.why ?? '')
    return value
  }
  const sensitive = chosen('sensitive')
  const extractable = chosen('extractable')
  const { 'key-type': keyType, 'check-value': checkValue, ...rest } = computed
  return {
    'key-type': keyType,
    label: template.label ?? '',
    id: (template.id ?? '0x').toLowerCase(),
    ...(checkValue !== undefined && { 'check-value': checkValue }),
    class: keyClass,
    encrypt: chosen('encrypt'),
    decrypt: chosen('decrypt'),
    token: chosen('token'),
    'always-sensitive': sensitive && wasAlways('always-sensitive', making),
    derive: chosen('derive'),
    destroyable: chosen('destroyable'),
    extractable,
    local: making.origin === 'generate',
    modifiable: chosen('modifiable'),
    'never-extractable': !extractable && wasAlways('never-extractable', making),
    private: chosen('private'),
    sensitive,
    sign: chosen('sign'),
    trusted: chosen('trusted'),
    unwrap: chosen('unwrap'),
    verify: chosen('verify'),
    wrap: chosen('wrap'),
    'wrap-with-trusted': chosen('wrap-with-trusted'),
    ...rest,
    ...carriedTemplates(template, making),
  }
}

/** Whether a key is to be a token key, by its template and its maker's defaults. */
export function isTokenKey(keyClass: KeyClass, template: AttributeTemplate, making: Making): boolean {
  return template.token ?? defaultOf(ATTRIBUTE_TABLES[keyClass].token, making)
}

function defaultOf(row: AttributeRow, { defaults, origin }: Making): boolean {
  const value = row.default[defaults]
  return typeof value === 'boolean' ? value : value[origin]
}

/** A key from outside was somewhere else before; a derived one was as well kept as its base (PKCS#11 2.40 §2.31). */
function wasAlways(what: 'always-sensitive' | 'never-extractable', { origin, base }: Making): boolean {
  return origin === 'generate' || (base?.[what] ?? false)
}

/** The CLI has no templates at creation (data-plane §3.1); PKCS#11 and JCE have. */
function carriedTemplates(template: AttributeTemplate, { defaults }: Making) {
  const { 'wrap-template': wrap, 'unwrap-template': unwrap } = template
  if (defaults === 'cli' && (wrap ?? unwrap)) throw refused('wrap-template or unwrap-template', 'set it afterwards')
  return { ...(wrap && { 'wrap-template': wrap }), ...(unwrap && { 'unwrap-template': unwrap }) }
}

const refused = (what: string, why: string) =>
  new HsmError('InvalidRequest', `the attribute ${what} cannot be asked for at creation: ${why}`)

/** Names a filter may use. */
export const ATTRIBUTE_NAMES: ReadonlySet<string> = new Set<string>([
  ...BOOLEAN_ATTRIBUTES,
  'key-type',
  'label',
  'id',
  'check-value',
  'class',
  'key-length-bytes',
  'public-exponent',
  'modulus',
  'modulus-size-bits',
  'ec-point',
  'curve',
  'mldsa-algorithm',
  'mlkem-algorithm',
])

/**
 * A test whether a key has all the given attribute values. Hexadecimal values compare without regard to case, everything
 * else as printed. Throws InvalidRequest for a name that no key has.
 */
export function matching(
  wanted: Readonly<Record<string, string | boolean | number>>,
): (attributes: KeyAttributes) => boolean {
  const conditions = Object.entries(wanted)
  for (const [name] of conditions) {
    if (!ATTRIBUTE_NAMES.has(name)) throw new HsmError('InvalidRequest', `keys have no attribute ${name}`)
  }
  const tests = conditions.map(([name, value]) => [name, sameAs(value)] as const)
  return (attributes) => tests.every(([name, isSame]) => isSame(Reflect.get(attributes, name)))
}

/** Asked of up to 16,666 keys: what can be made ready is, and what differs in length is not looked at. */
function sameAs(value: string | boolean | number): (actual: unknown) => boolean {
  const text = String(value)
  const lower = text.toLowerCase()
  return (actual) => {
    if (actual === value) return true
    if (typeof actual !== 'string') return JSON.stringify(actual) === text
    if (typeof value !== 'string' || actual.length !== text.length || !actual.startsWith('0x')) return false
    return actual.toLowerCase() === lower
  }
}
