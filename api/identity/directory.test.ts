import assert from 'node:assert/strict'
import { test } from 'node:test'
import { directory as directoryShape, IDENTITY_LIMITS, type Directory } from '../../provider-schema/identity.ts'
import * as d from './directory.ts'
import { identityKey } from './identity-key.ts'

const NOW = new Date('2026-01-02T03:04:05Z')
const KEY = identityKey(Buffer.alloc(32, 3))
const A = '111122223333'
const POLICY = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"cloudhsm:*","Resource":"*"}}'
const TRUST = `{"Statement":{"Effect":"Allow","Principal":{"AWS":"${A}"},"Action":"sts:AssumeRole"}}`
const SECRET = 'a-secret-of-the-operator'
const ROLE = { name: 'ops', trust: TRUST, maxSessionSeconds: 3_600, tags: {} }

const empty: Directory = { accounts: [] }
const withAccount = d.createAccount(empty, A, 'test', NOW)
const withUser = d.createUser(withAccount, A, 'ada', { team: 'hsm' }, NOW)
const withRole = d.createRole(withUser, A, ROLE, NOW)
const withKey = d.createAccessKey(withRole, { account: A, user: 'ada' }, { secret: SECRET }, KEY, NOW)

test('an account has users, roles, keys and policies, and what is stored fits its shape', () => {
  const full = d.putPolicy(withKey.directory, { account: A, user: 'ada' }, 'p', POLICY)
  const parsed = directoryShape.parse(JSON.parse(JSON.stringify(full)))
  assert.deepEqual(parsed, full)
  const [ada] = d.accountIn(full, A).users
  assert.match(ada?.id ?? '', /^AIDA[A-Z2-7]{16}$/)
  assert.deepEqual(ada?.policies, { p: POLICY })
  assert.match(d.accountIn(full, A).roles[0]?.id ?? '', /^AROA[A-Z2-7]{16}$/)
})

test('a change leaves the directory it was made of as it was', () => {
  assert.deepEqual(empty, { accounts: [] })
  assert.deepEqual(d.accountIn(withAccount, A).users, [])
  assert.equal(d.accountIn(withRole, A).users[0]?.accessKeys.length, 0)
})

test('a secret is sealed for its access key, and opens for no other, nor with another key', () => {
  const [held] = d.accessKeysOf(withKey.directory)
  assert.ok(held)
  const { id, sealed } = held.key
  assert.ok(!JSON.stringify(withKey.directory).includes(SECRET))
  assert.equal(KEY.openSecret(sealed, id).reveal(), SECRET)
  assert.throws(() => KEY.openSecret(sealed, 'AKIAAAAAAAAAAAAAAAAA'), /damaged/)
  assert.throws(() => identityKey(Buffer.alloc(32, 4)).openSecret(sealed, id), /another identity key/)
  const bytes = Buffer.from(sealed, 'base64url')
  bytes[20] = (bytes[20] ?? 0) ^ 1
  assert.throws(() => KEY.openSecret(bytes.toString('base64url'), id), /damaged/)
  assert.throws(() => KEY.openSecret('', id), /another identity key/)
  // The same secret sealed twice does not look the same.
  assert.notEqual(KEY.sealSecret(SECRET, id), KEY.sealSecret(SECRET, id))
})

test('keys are disabled, enabled and deleted by their id alone', () => {
  const off = d.setAccessKeyActive(withKey.directory, withKey.id, false)
  assert.equal(d.accessKeysOf(off)[0]?.key.active, false)
  assert.equal(d.accessKeysOf(d.setAccessKeyActive(off, withKey.id, true))[0]?.key.active, true)
  assert.deepEqual(d.accessKeysOf(d.deleteAccessKey(off, withKey.id)), [])
})

test('what is deleted takes with it what is its own', () => {
  assert.deepEqual(d.accessKeysOf(d.deleteUser(withKey.directory, A, 'ada')), [])
  assert.deepEqual(d.accountIn(d.deleteRole(withRole, A, 'ops'), A).roles, [])
  assert.deepEqual(d.deleteAccount(withKey.directory, A), empty)
})

const two = d.createAccessKey(withKey.directory, { account: A, user: 'ada' }, { secret: SECRET }, KEY, NOW).directory
const full = Array.from({ length: IDENTITY_LIMITS.policiesPerPrincipal }, (_, at) => `p${at}`).reduce(
  (all, name) => d.putPolicy(all, { account: A, role: 'ops' }, name, POLICY),
  withRole,
)
const ada = { account: A, user: 'ada' }

const REFUSALS: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['an account that is none', () => d.createAccount(empty, '12', '', NOW), /twelve digits/],
  ['an account twice', () => d.createAccount(withAccount, A, '', NOW), /account 111122223333 already/],
  ['an unknown account', () => d.createUser(empty, A, 'ada', {}, NOW), /no account 111122223333/],
  ['to delete an unknown account', () => d.deleteAccount(empty, A), /no account/],
  ['a name with a slash', () => d.createUser(withAccount, A, 'a/b', {}, NOW), /not a name/],
  ['a name that differs in case only', () => d.createUser(withUser, A, 'ADA', {}, NOW), /user ADA already/],
  ['an unknown user', () => d.deleteUser(withAccount, A, 'ada'), /no user ada/],
  ['an unknown role', () => d.setTrust(withAccount, A, 'ops', TRUST), /no role ops/],
  ['a trust policy that is none', () => d.createRole(withAccount, A, { ...ROLE, trust: POLICY }, NOW), /no Principal/],
  [
    'a session that is too long',
    () => d.createRole(withAccount, A, { ...ROLE, maxSessionSeconds: 43_201 }, NOW),
    /3600 to 43200/,
  ],
  [
    'a length that is no number',
    () => d.createRole(withAccount, A, { ...ROLE, maxSessionSeconds: Number.NaN }, NOW),
    /3600 to/,
  ],
  ['a policy that is none', () => d.putPolicy(withUser, ada, 'p', '{}'), /at least one Statement/],
  ['a name of a policy with a space', () => d.putPolicy(withUser, ada, 'a b', POLICY), /not a name for a policy/],
  ['a policy of nobody', () => d.putPolicy(withUser, { account: A }, 'p', POLICY), /of a user or of a role/],
  ['a policy of two', () => d.putPolicy(withRole, { ...ada, role: 'ops' }, 'p', POLICY), /of a user or of a role/],
  ['one policy too many', () => d.putPolicy(full, { account: A, role: 'ops' }, 'more', POLICY), /10 policies already/],
  ['to delete an unknown policy', () => d.deletePolicy(withUser, ada, 'p'), /user ada has no policy p/],
  ['a third key', () => d.createAccessKey(two, ada, { secret: SECRET }, KEY, NOW), /2 access keys already/],
  ['a short secret', () => d.createAccessKey(withUser, ada, { secret: 'short' }, KEY, NOW), /16 to 128/],
  [
    'an id that is none',
    () => d.createAccessKey(withUser, ada, { secret: SECRET, id: 'me' }, KEY, NOW),
    /not an access key id/,
  ],
  [
    'an id twice',
    () => d.createAccessKey(withKey.directory, { account: A }, { secret: SECRET, id: withKey.id }, KEY, NOW),
    /already/,
  ],
  ['an unknown key', () => d.deleteAccessKey(withUser, withKey.id), /no access key/],
  ['a tag without a key', () => d.createUser(withAccount, A, 'bob', { '': 'x' }, NOW), /A tag has a key/],
]
for (const [what, change, words] of REFUSALS) {
  test(`refuses ${what}`, () => {
    assert.throws(change, (error) => error instanceof d.IdentityRefusal && words.test(error.message))
  })
}
