import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOOLEAN_ATTRIBUTES, KEY_CLASSES, type BooleanAttribute } from '../protocol/attributes.ts'
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
