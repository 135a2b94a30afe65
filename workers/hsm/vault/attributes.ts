/** Attributes of keys: what each is when nobody says, who may say otherwise, and what follows from the rest. */
import { HsmError } from '../protocol/errors.ts'
import {
  BOOLEAN_ATTRIBUTES,
  type AttributeTemplate,
  type BooleanAttribute,
  type KEY_CLASSES,
  type KeyAttributes,
} from '../protocol/attributes.ts'

export type KeyClass = (typeof KEY_CLASSES)[number]
type ByClass<T> = { readonly [Class in KeyClass]: T }

interface AttributeRule {
  readonly default: ByClass<boolean>
  /** Values a creator may ask for; what is not listed is refused with `why`. */
  readonly allowed: ByClass<readonly boolean[]>
  readonly why: string
}

const each = <T>(value: T): ByClass<T> => ({ 'secret-key': value, 'public-key': value, 'private-key': value })
const either: readonly boolean[] = [true, false]

/**
 * Data-plane reference §3.1, the CLI's column. `always-sensitive`, `never-extractable` and `local` are not here: they
 * are computed and nobody may ask for them.
 */
export const ATTRIBUTE_RULES = {
  encrypt: { default: each(false), allowed: each(either), why: '' },
  decrypt: { default: each(false), allowed: each(either), why: '' },
  token: { default: each(true), allowed: each(either), why: '' },
  derive: {
    default: each(false),
    allowed: { ...each(either), 'public-key': [false] },
    why: 'a public key derives nothing',
  },
  destroyable: { default: each(true), allowed: each(either), why: '' },
  extractable: { default: each(true), allowed: each(either), why: '' },
  modifiable: { default: each(true), allowed: each(either), why: '' },
  private: { default: each(true), allowed: each([true]), why: 'only the default, true, is accepted' },
  sensitive: {
    default: { ...each(true), 'public-key': false },
    allowed: { 'secret-key': [true], 'public-key': [false], 'private-key': either },
    why: 'only a private key may choose',
  },
  sign: { default: { ...each(false), 'secret-key': true }, allowed: each(either), why: '' },
  trusted: { default: each(false), allowed: each([false]), why: 'only an admin sets it, on a key that exists' },
  unwrap: {
    default: each(false),
    allowed: { ...each(either), 'public-key': [false] },
    why: 'a public key unwraps nothing',
  },
  verify: { default: { ...each(false), 'secret-key': true }, allowed: each(either), why: '' },
  wrap: {
    default: each(false),
    allowed: { ...each(either), 'private-key': [false] },
    why: 'a private key wraps nothing',
  },
  'wrap-with-trusted': { default: each(false), allowed: each(either), why: '' },
} as const satisfies Partial<Record<BooleanAttribute, AttributeRule>>

type RuledAttribute = keyof typeof ATTRIBUTE_RULES
const COMPUTED = ['always-sensitive', 'never-extractable', 'local'] as const satisfies readonly BooleanAttribute[]

/** What a key is by its material, whoever made it. */
export type ComputedAttributes = Omit<KeyAttributes, BooleanAttribute | 'label' | 'id' | 'class'>

/**
 * All attributes of a key that is made in this HSM (`local`). Throws InvalidRequest when the template asks for what a
 * key of this class cannot have.
 */
export function attributesAtCreation(
  keyClass: KeyClass,
  template: AttributeTemplate,
  computed: ComputedAttributes,
): KeyAttributes {
  for (const name of COMPUTED) {
    if (template[name] !== undefined) throw refused(name, 'the HSM computes it')
  }
  const chosen = (name: RuledAttribute): boolean => {
    const rule: AttributeRule = ATTRIBUTE_RULES[name]
    const value = template[name] ?? rule.default[keyClass]
    if (!rule.allowed[keyClass].includes(value)) throw refused(`${name}=${value} on a ${keyClass}`, rule.why)
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
    'always-sensitive': sensitive,
    derive: chosen('derive'),
    destroyable: chosen('destroyable'),
    extractable,
    local: true,
    modifiable: chosen('modifiable'),
    'never-extractable': !extractable,
    private: chosen('private'),
    sensitive,
    sign: chosen('sign'),
    trusted: chosen('trusted'),
    unwrap: chosen('unwrap'),
    verify: chosen('verify'),
    wrap: chosen('wrap'),
    'wrap-with-trusted': chosen('wrap-with-trusted'),
    ...rest,
  }
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
  return (attributes) => conditions.every(([name, value]) => isSame(Reflect.get(attributes, name), value))
}

function isSame(actual: unknown, value: string | boolean | number): boolean {
  if (typeof actual !== 'string') return JSON.stringify(actual) === String(value)
  if (actual === value) return true
  return typeof value === 'string' && actual.startsWith('0x') && actual.toLowerCase() === value.toLowerCase()
}
