/** Each row of the attribute tables, changed both ways, on both types of HSM. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HsmType } from '../../../provider-schema/limits.ts'
import { HSM_TYPES } from '../../../provider-schema/limits.ts'
import { HsmError } from '../protocol/errors.ts'
import { BOOLEAN_ATTRIBUTES, KEY_CLASSES, type AttributeChange, type BooleanAttribute } from '../protocol/attributes.ts'
import { changesOf } from './attribute-changes.ts'
import { ATTRIBUTE_TABLES, COMPUTED, type AttributeRow, type Change, type KeyClass } from './attribute-tables.ts'
import { attributesAtCreation } from './attributes.ts'
import { HeldKey } from './held-key.ts'

const owner = { username: 'alice', role: 'crypto-user' } as const
const sharee = { username: 'bob', role: 'crypto-user' } as const
const admin = { username: 'admin', role: 'admin' } as const

function keyOf(keyClass: KeyClass, attributes: Partial<Record<BooleanAttribute, boolean>> = {}): HeldKey {
  const type = keyClass === 'secret-key' ? 'aes' : 'rsa'
  const computed = { 'key-type': type, 'check-value': '0x010203', 'key-length-bytes': 16 } as const
  return new HeldKey(
    '0x0000000000000001',
    {
      owner: 'alice',
      sharedWith: ['bob'],
      attributes: { ...attributesAtCreation(keyClass, {}, computed), ...attributes },
      material: Buffer.alloc(16),
      manageQuorum: 0,
      useQuorum: 0,
    },
    1,
  )
}

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'changed'
  } catch (error) {
    return error instanceof HsmError ? error.code : String(error)
  }
}

const CHANGES = {
  free: { toTrue: 'changed', toFalse: 'changed', admin: 'PermissionDenied' },
  'to-true': { toTrue: 'changed', toFalse: 'InvalidRequest', admin: 'PermissionDenied' },
  'to-false': { toTrue: 'InvalidRequest', toFalse: 'changed', admin: 'PermissionDenied' },
  never: { toTrue: 'InvalidRequest', toFalse: 'InvalidRequest', admin: 'PermissionDenied' },
  admin: { toTrue: 'PermissionDenied', toFalse: 'PermissionDenied', admin: 'changed' },
} as const satisfies Record<Change, unknown>

for (const hsmType of HSM_TYPES) {
  for (const keyClass of KEY_CLASSES) {
    const table: Readonly<Partial<Record<BooleanAttribute, AttributeRow>>> = ATTRIBUTE_TABLES[keyClass]
    for (const name of BOOLEAN_ATTRIBUTES) {
      const rule = ruleOf(table[name], name, keyClass, hsmType)
      test(`${hsmType}, ${keyClass}: ${name} changes ${rule}`, () => {
        const expected = CHANGES[rule]
        const change = (from: boolean, by: Parameters<typeof changesOf>[2]) =>
          codeOf(() => {
            // `modifiable` false stops every change, its own too.
            const key = keyOf(keyClass, name === 'modifiable' && !from ? {} : { [name]: from })
            const changes = changesOf(key, { [name]: !from }, by, hsmType)
            if (name !== 'modifiable') assert.deepEqual(changes, [{ name, value: !from }])
          })
        if (name !== 'modifiable') assert.equal(change(false, owner), expected.toTrue)
        assert.equal(change(true, owner), expected.toFalse)
        assert.equal(change(true, admin), expected.admin)
        assert.equal(change(true, sharee), 'PermissionDenied')
      })
    }
  }
}

function ruleOf(row: AttributeRow | undefined, name: string, keyClass: KeyClass, hsmType: HsmType): Change {
  if (!row) return 'never'
  if (hsmType !== 'hsm1.medium') return row.change
  return name === 'derive' && keyClass === 'private-key' ? 'never' : (row.changeOnHsm1 ?? row.change)
}

/** Data-plane reference §3.1, last column, written out: what the tables must come to. */
const reference: readonly (readonly [HsmType, KeyClass, BooleanAttribute, Change])[] = [
  ['hsm2m.medium', 'secret-key', 'token', 'to-true'],
  ['hsm2m.medium', 'secret-key', 'private', 'never'],
  ['hsm2m.medium', 'secret-key', 'extractable', 'to-false'],
  ['hsm1.medium', 'secret-key', 'extractable', 'never'],
  ['hsm2m.medium', 'secret-key', 'modifiable', 'to-false'],
  ['hsm2m.medium', 'secret-key', 'trusted', 'admin'],
  ['hsm2m.medium', 'public-key', 'trusted', 'admin'],
  ['hsm2m.medium', 'secret-key', 'wrap-with-trusted', 'to-true'],
  ['hsm2m.medium', 'public-key', 'derive', 'never'],
  ['hsm2m.medium', 'private-key', 'derive', 'free'],
  ['hsm1.medium', 'private-key', 'derive', 'never'],
  ['hsm2m.medium', 'public-key', 'unwrap', 'never'],
  ['hsm2m.medium', 'private-key', 'wrap', 'never'],
  ['hsm2m.medium', 'secret-key', 'encrypt', 'free'],
  ['hsm2m.medium', 'secret-key', 'destroyable', 'free'],
]
for (const [hsmType, keyClass, name, change] of reference) {
  test(`${hsmType}, ${keyClass}: the table says of ${name} what the reference says`, () => {
    const table: Readonly<Partial<Record<BooleanAttribute, AttributeRow>>> = ATTRIBUTE_TABLES[keyClass]
    assert.equal(ruleOf(table[name], name, keyClass, hsmType), change)
  })
}

for (const name of COMPUTED) {
  test(`nobody changes ${name}`, () => {
    const key = keyOf('secret-key')
    const change = { [name]: !key.attributes[name] }
    assert.throws(() => changesOf(key, change, owner, 'hsm2m.medium'), {
      code: 'InvalidRequest',
      message: /the HSM computes it/,
    })
  })
}

test('label and templates change; the id changes on hsm2m.medium only', () => {
  const key = keyOf('secret-key')
  const change: AttributeChange = { label: 'new', 'unwrap-template': { extractable: false }, 'wrap-template': null }
  assert.deepEqual(changesOf(key, change, owner, 'hsm1.medium'), [
    { name: 'label', value: 'new' },
    { name: 'wrap-template', value: null },
    { name: 'unwrap-template', value: { extractable: false } },
  ])
  assert.deepEqual(changesOf(key, { id: '0xAB' }, owner, 'hsm2m.medium'), [{ name: 'id', value: '0xab' }])
  assert.throws(() => changesOf(key, { id: '0xAB' }, owner, 'hsm1.medium'), { code: 'InvalidRequest' })
})

test('a key that is not modifiable changes no more, but an admin still takes its trust away', () => {
  const key = keyOf('secret-key', { modifiable: false, trusted: true })
  for (const change of [{ label: 'x' }, { decrypt: true }, { modifiable: true }, { 'wrap-template': {} }]) {
    assert.throws(() => changesOf(key, change, owner, 'hsm2m.medium'), { code: 'KeyFunctionNotPermitted' })
  }
  assert.deepEqual(changesOf(key, { trusted: false }, admin, 'hsm2m.medium'), [{ name: 'trusted', value: false }])
})

test('what a key is already is no change, so a repeated request succeeds', () => {
  const key = keyOf('secret-key', { 'wrap-with-trusted': true })
  assert.deepEqual(changesOf(key, { 'wrap-with-trusted': true, label: '' }, owner, 'hsm2m.medium'), [])
})

test('one attribute that may not change keeps the others of the request from changing', () => {
  const key = keyOf('secret-key', { 'wrap-with-trusted': true })
  assert.throws(() => changesOf(key, { decrypt: true, 'wrap-with-trusted': false }, owner, 'hsm2m.medium'), {
    code: 'InvalidRequest',
    message: /wrap-with-trusted/,
  })
})
