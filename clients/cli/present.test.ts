import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOOLEAN_ATTRIBUTES, type KeyInfo } from '../../workers/hsm/protocol/attributes.ts'
import { type UserInfo } from '../../workers/hsm/protocol/values.ts'
import { presentAnswer, presentHsm, presentKey, presentKeyBriefly, presentUsers } from './present.ts'

const booleans = {
  'wrap-with-trusted': false,
  encrypt: false,
  decrypt: false,
  token: true,
  'always-sensitive': true,
  derive: false,
  destroyable: true,
  extractable: true,
  local: true,
  modifiable: true,
  'never-extractable': false,
  private: true,
  sensitive: true,
  sign: true,
  trusted: false,
  unwrap: false,
  verify: false,
  wrap: false,
}
const key: KeyInfo = {
  handle: '0x00000000002805c3',
  owner: 'alice',
  sharedWith: ['bob'],
  coverage: 'full',
  manageQuorum: 2,
  useQuorum: 1,
  attributes: {
    curve: 'secp256r1',
    'ec-point': '0x04aa',
    'key-length-bytes': 65,
    ...booleans,
    class: 'private-key',
    'check-value': '0xd7c1a7',
    id: '',
    label: 'ec',
    'key-type': 'ec',
  },
}

test('a key is printed with its attributes in the order of the CLI', () => {
  const shown = presentKey(key)
  assert.deepEqual(Object.keys(shown), ['key-reference', 'key-info', 'attributes'])
  assert.deepEqual(shown['key-info'], {
    'key-owners': [{ username: 'alice', 'key-coverage': 'full' }],
    'shared-users': [{ username: 'bob', 'key-coverage': 'full' }],
    'key-quorum-values': { 'manage-key-quorum-value': 2, 'use-key-quorum-value': 1 },
    'cluster-coverage': 'full',
  })
  assert.deepEqual(Object.keys(shown.attributes), [
    'key-type',
    'label',
    'id',
    'check-value',
    'class',
    'encrypt',
    'decrypt',
    'token',
    'always-sensitive',
    'derive',
    'destroyable',
    'extractable',
    'local',
    'modifiable',
    'never-extractable',
    'private',
    'sensitive',
    'sign',
    'trusted',
    'unwrap',
    'verify',
    'wrap',
    'wrap-with-trusted',
    'key-length-bytes',
    'ec-point',
    'curve',
  ])
  assert.equal(BOOLEAN_ATTRIBUTES.length, Object.keys(booleans).length)
})

test('the algorithm of an ML-DSA key stands after private', () => {
  const attributes = { ...key.attributes, 'mldsa-algorithm': 'ML-DSA-44' }
  const names = Object.keys(presentKey({ ...key, attributes }).attributes)
  assert.deepEqual(names.slice(names.indexOf('private'), names.indexOf('sensitive')), ['private', 'mldsa-algorithm'])
})

test('a key in a short list shows its reference and label', () => {
  assert.deepEqual(presentKeyBriefly(key), { 'key-reference': '0x00000000002805c3', attributes: { label: 'ec' } })
})

test('an HSM is printed in the order of the CLI, without fields the CLI does not have', () => {
  const info = { 'fips-state': '2 [FIPS …]', extra: 'x', model: 'm', vendor: 'v' }
  assert.equal(JSON.stringify(presentHsm(info)), '{"vendor":"v","model":"m","fips-state":"2 [FIPS …]"}')
})

test('users are printed once, and what HSMs say differently reads inconsistent', () => {
  const user = (username: string, more: Partial<UserInfo> = {}): UserInfo => ({
    username,
    role: 'crypto-user',
    locked: false,
    mfa: false,
    quorum: false,
    coverage: 'full',
    ...more,
  })
  const users = presentUsers([
    [user('admin', { role: 'admin', mfa: true, quorum: true }), user('alice', { locked: true }), user('new')],
    [user('admin', { role: 'admin', mfa: true }), user('alice')],
  ])
  const mfa = [{ strategy: 'token-sign', status: 'enabled' }]
  assert.deepEqual(users, [
    { username: 'admin', role: 'admin', locked: 'false', mfa, quorum: 'inconsistent', 'cluster-coverage': 'full' },
    { username: 'alice', role: 'crypto-user', locked: 'inconsistent', mfa: [], quorum: [], 'cluster-coverage': 'full' },
    { username: 'new', role: 'crypto-user', locked: 'false', mfa: [], quorum: [], 'cluster-coverage': 'partial' },
  ])
})

test('an answer is JSON, indented by two, with error_code first', () => {
  assert.equal(presentAnswer(0, { a: 1 }), '{\n  "error_code": 0,\n  "data": {\n    "a": 1\n  }\n}\n')
  assert.equal(presentAnswer(1, 'no'), '{\n  "error_code": 1,\n  "data": "no"\n}\n')
})
