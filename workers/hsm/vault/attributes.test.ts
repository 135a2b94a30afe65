import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BOOLEAN_ATTRIBUTES,
  DEFAULT_SETS,
  KEY_CLASSES,
  type BooleanAttribute,
  type DefaultSet,
} from '../protocol/attributes.ts'
import { ATTRIBUTE_TABLES, ORIGINS, type AttributeRow, type Origin, type RuledAttribute } from './attribute-tables.ts'
import { attributesAtCreation, matching, type KeyClass } from './attributes.ts'

const computed = { 'key-type': 'aes', 'check-value': '0x010203', 'key-length-bytes': 16 } as const
const make = (keyClass: KeyClass, template = {}) => attributesAtCreation(keyClass, template, computed)

/** True attributes when nobody says anything: the CLI's column of data-plane reference §3.1. */
const trueByDefault: Record<KeyClass, readonly BooleanAttribute[]> = {
  'secret-key': [
    'token',
    'always-sensitive',
    'destroyable',
    'extractable',
    'local',
    'modifiable',
    'private',
    'sensitive',
    'sign',
    'verify',
  ],
  'public-key': ['token', 'destroyable', 'extractable', 'local', 'modifiable', 'private'],
  'private-key': [
    'token',
    'always-sensitive',
    'destroyable',
    'extractable',
    'local',
    'modifiable',
    'private',
    'sensitive',
  ],
}
for (const keyClass of KEY_CLASSES) {
  test(`a ${keyClass} has the defaults of AWS's CLI`, () => {
    const attributes = make(keyClass)
    assert.deepEqual(
      BOOLEAN_ATTRIBUTES.filter((name) => attributes[name]),
      BOOLEAN_ATTRIBUTES.filter((name) => trueByDefault[keyClass].includes(name)),
    )
    assert.deepEqual([attributes.label, attributes.id, attributes.class], ['', '0x', keyClass])
  })
}

/** What a creator may not ask for, whatever the default. */
const refused: readonly (readonly [KeyClass, Partial<Record<BooleanAttribute, boolean>>])[] = [
  ['secret-key', { trusted: true }],
  ['secret-key', { private: false }],
  ['secret-key', { sensitive: false }],
  ['secret-key', { local: false }],
  ['secret-key', { 'always-sensitive': false }],
  ['secret-key', { 'never-extractable': true }],
  ['public-key', { sensitive: true }],
  ['public-key', { unwrap: true }],
  ['public-key', { derive: true }],
  ['private-key', { wrap: true }],
]
for (const [keyClass, template] of refused) {
  test(`a ${keyClass} with ${JSON.stringify(template)} is refused, by name`, () => {
    const [name = ''] = Object.keys(template)
    assert.throws(() => make(keyClass, template), { code: 'InvalidRequest', message: new RegExp(name) })
  })
}

test('a key made not extractable never was, one made not sensitive never always was', () => {
  assert.equal(make('secret-key', { extractable: false })['never-extractable'], true)
  assert.equal(make('private-key', { sensitive: false })['always-sensitive'], false)
})

test('filters compare as printed, hexadecimal without regard to case, all of them', () => {
  const attributes = make('secret-key', { label: 'Data', id: '0xAB' })
  const has = (wanted: Parameters<typeof matching>[0]) => matching(wanted)(attributes)
  assert.ok(has({ label: 'Data', id: '0xaB', token: 'true', 'key-length-bytes': 16 }))
  assert.ok(has({ token: true, 'key-length-bytes': '16' }))
  assert.equal(has({ label: 'data' }), false)
  assert.equal(has({ label: 'Data', sign: false }), false)
  assert.equal(has({ modulus: '0x00' }), false)
  assert.throws(() => has({ constructor: 'x' }), { code: 'InvalidRequest' })
})

/** What is true by default, besides what every key has, for AWS's other tools (data-plane reference §3.1). */
const trueBesides: Record<Exclude<DefaultSet, 'cli'>, Record<KeyClass, Record<Origin, readonly BooleanAttribute[]>>> = {
  pkcs11: {
    'secret-key': { generate: ['sign', 'verify'], import: [], unwrap: [], derive: [] },
    'public-key': { generate: [], import: [], unwrap: [], derive: [] },
    'private-key': { generate: [], import: [], unwrap: [], derive: [] },
  },
  jce: {
    'secret-key': same(['encrypt', 'decrypt', 'sign', 'verify', 'wrap', 'unwrap']),
    'public-key': same(['encrypt', 'verify', 'wrap']),
    'private-key': same(['decrypt', 'sign', 'unwrap']),
  },
}
function same<T>(value: T): Record<Origin, T> {
  return { generate: value, import: value, unwrap: value, derive: value }
}

for (const defaults of ['pkcs11', 'jce'] as const) {
  for (const keyClass of KEY_CLASSES) {
    for (const origin of ORIGINS) {
      test(`a ${keyClass} from ${origin} has the defaults of ${defaults}, and is a session key`, () => {
        const attributes = attributesAtCreation(keyClass, {}, computed, { origin, defaults })
        const everyKey = ['destroyable', 'extractable', 'modifiable', 'private']
        const secret = keyClass === 'public-key' ? [] : ['sensitive']
        const generated = origin === 'generate' ? ['local', ...(secret.length > 0 ? ['always-sensitive'] : [])] : []
        const expected: string[] = [...everyKey, ...secret, ...generated, ...trueBesides[defaults][keyClass][origin]]
        assert.deepEqual(
          BOOLEAN_ATTRIBUTES.filter((name) => attributes[name]),
          BOOLEAN_ATTRIBUTES.filter((name) => expected.includes(name)),
        )
      })
    }
  }
}

for (const keyClass of KEY_CLASSES) {
  const table: Readonly<Record<RuledAttribute, AttributeRow>> = ATTRIBUTE_TABLES[keyClass]
  for (const [name, row] of Object.entries(table)) {
    for (const defaults of DEFAULT_SETS) {
      const values = [true, false].filter((value) => row.creation[defaults].includes(value))
      test(`a ${keyClass} may be made with ${name} ${values.join(' or ')} by ${defaults}`, () => {
        for (const value of [true, false]) {
          const create = () =>
            attributesAtCreation(keyClass, { [name]: value }, computed, { origin: 'generate', defaults })
          if (values.includes(value)) assert.equal(Reflect.get(create(), name), value)
          else assert.throws(create, { code: 'InvalidRequest', message: new RegExp(`${name}=${value}`) })
        }
      })
    }
  }
}

test('a key from outside was never always sensitive, never extractable or local, whatever it is now', () => {
  for (const origin of ['import', 'unwrap'] as const) {
    const attributes = attributesAtCreation('secret-key', { extractable: false }, computed, { origin, defaults: 'cli' })
    assert.deepEqual(
      [attributes['always-sensitive'], attributes['never-extractable'], attributes.local],
      [false, false, false],
    )
  }
})

test('an AES key unwrapped by the CLI signs and verifies, and has no other use', () => {
  const attributes = attributesAtCreation('secret-key', {}, computed, { origin: 'unwrap', defaults: 'cli' })
  const uses = ['encrypt', 'decrypt', 'sign', 'verify', 'wrap', 'unwrap', 'derive'] as const
  assert.deepEqual(
    uses.filter((name) => attributes[name]),
    ['sign', 'verify'],
  )
})

const bases = [true, false].flatMap((base) => [true, false].map((own) => [base, own] as const))
for (const [base, own] of bases) {
  test(`a derived key that is sensitive and not extractable: ${own}, of a base that always was: ${base}`, () => {
    const made = attributesAtCreation('secret-key', { sensitive: own, extractable: !own }, computed, {
      origin: 'derive',
      defaults: 'pkcs11',
      base: { 'always-sensitive': base, 'never-extractable': base },
    })
    assert.deepEqual(
      [made['always-sensitive'], made['never-extractable'], made.local],
      [base && own, base && own, false],
    )
  })
}

test('templates that a key carries are given at creation by PKCS#11, not by the CLI', () => {
  const template = { 'unwrap-template': { extractable: false } }
  const making = (defaults: DefaultSet) => ({ origin: 'generate', defaults }) as const
  const attributes = attributesAtCreation('secret-key', template, computed, making('pkcs11'))
  assert.deepEqual(attributes['unwrap-template'], { extractable: false })
  assert.throws(() => attributesAtCreation('secret-key', template, computed, making('cli')), { code: 'InvalidRequest' })
})
