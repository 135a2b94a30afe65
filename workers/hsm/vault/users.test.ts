/** Users over a store in memory: limits, lock-outs, keys for signing tokens, and who may change whom. */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { password as passwordShape, username as usernameShape } from '../protocol/values.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { hashPassword } from './passwords.ts'
import { ToldPeers } from './testing/told-peers.ts'
import { encodeUser, userPath } from './user-record.ts'
import { Users } from './users.ts'
import { withoutKeys } from './testing/without-keys.ts'

const ADMIN = { username: 'admin', role: 'admin' } as const
const ALICE = { username: 'alice', role: 'crypto-user' } as const
const BOB = { username: 'bob', role: 'crypto-user' } as const
const PASSWORD = 'secret-word-1'
/** Made once: the cost of a password is not what is tested here. */
const HASH = await hashPassword(PASSWORD)

async function withUsers({ hsmType = 'hsm2m.medium', extra = 0, adminsNeeded = 1 } = {}) {
  const store = new MemoryStore('hsm-0')
  const names = Array.from({ length: extra }, (_, i) => ({ username: `user${i}`, role: 'crypto-user' }) as const)
  await store.write(
    [ADMIN, ALICE, ...names].map((user) => ({
      path: userPath(user.username),
      value: encodeUser({ ...user, password: HASH }),
    })),
  )
  const open = () =>
    new Users({
      store,
      replication: new ToldPeers(1),
      hsmType: () => hsmType,
      ...withoutKeys,
      adminsNeeded: () => adminsNeeded,
    })
  return { store, users: open(), open }
}

function pair(modulusLength = 2048): { publicKey: Buffer; privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength })
  return { publicKey: publicKey.export({ type: 'spki', format: 'der' }), privateKey }
}

const signedWith = (privateKey: KeyObject, preimage = randomBytes(64)) => ({
  preimage,
  signature: sign('sha256', preimage, privateKey),
})
const stateOf = (users: Users, name: string) => users.list().find(({ username }) => username === name)

for (const [hsmType, most] of [
  ['hsm1.medium', 250],
  ['hsm2m.medium', 1_024],
] as const) {
  test(`a cluster of ${hsmType} has at most ${most} users, those that are being made included`, async () => {
    const { users } = await withUsers({ hsmType, extra: most - 3 })
    const outcomes = await Promise.allSettled([
      users.create({ ...BOB, password: PASSWORD }),
      users.create({ username: 'carol', role: 'crypto-user', password: PASSWORD }),
    ])
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal(users.count, most)
    await assert.rejects(users.create({ username: 'dave', role: 'admin', password: PASSWORD }), {
      code: 'LimitExceeded',
    })
    await users.delete(ALICE)
    await users.create({ username: 'dave', role: 'admin', password: PASSWORD })
  })
}

test('the appliance user is listed, is nobody’s to create, and is no login', async () => {
  const { users } = await withUsers()
  assert.equal(users.list().at(-1)?.role, 'internal(APPLIANCE_USER)')
  const appliance = { username: 'app_user', role: 'crypto-user', password: PASSWORD } as const
  await assert.rejects(users.create(appliance), { code: 'UserExists' })
  await assert.rejects(users.login(appliance, '127.0.0.1'), { code: 'LoginFailed' })
  await assert.rejects(users.delete(appliance), { code: 'UserNotFound' })
})

for (const [name, allowed] of [
  ['a', 'a'],
  ['Crypto_User1', 'crypto_user1'],
  ['x'.repeat(31), 'x'.repeat(31)],
  ['x'.repeat(32), undefined],
  ['', undefined],
  ['a-b', undefined],
  ['a b', undefined],
  ['a:b', undefined],
  ['ä', undefined],
] as const) {
  test(`the user name "${name}" is ${allowed === undefined ? 'refused' : `kept as ${allowed}`}`, () => {
    assert.equal(usernameShape.safeParse(name).data, allowed)
  })
}

for (const [text, allowed] of [
  ['x'.repeat(7), false],
  ['x'.repeat(8), true],
  ['x'.repeat(32), true],
  ['x'.repeat(33), false],
  ['pass:word', false],
  ['Pässwörd', true],
] as const) {
  test(`the password "${text}" is ${allowed ? 'allowed' : 'refused'}`, () => {
    assert.equal(passwordShape.safeParse(text).success, allowed)
  })
}

test('names are the same in any case only once parsed, passwords and roles are compared as they are', async () => {
  const { users } = await withUsers()
  await assert.rejects(users.login({ ...ALICE, password: PASSWORD.toUpperCase() }, ''), { code: 'LoginFailed' })
  await assert.rejects(users.login({ ...ALICE, role: 'admin', password: PASSWORD }, ''), { code: 'LoginFailed' })
  assert.deepEqual(await users.login({ ...ALICE, password: PASSWORD }, ''), ALICE)
})

test('five failures are forgiven by a success, the sixth in a row locks, and only a new password unlocks', async () => {
  const { users, open } = await withUsers()
  const guess = (password: string) => users.login({ ...ALICE, password }, '')
  for (let i = 0; i < 5; i++) await assert.rejects(guess('wrong-word'), { code: 'LoginFailed' })
  await guess(PASSWORD)
  for (let i = 0; i < 6; i++) await assert.rejects(guess('wrong-word'), { code: 'LoginFailed' })
  await assert.rejects(guess(PASSWORD), { code: 'UserLocked' })
  assert.equal(stateOf(users, 'alice')?.locked, true)
  assert.equal(stateOf(open(), 'alice')?.locked, true, 'after a restart too')
  // A key that is registered or forgotten is no new password.
  await users.changeMfa(ADMIN, ALICE)
  await users.registerApprovalKey(ALICE, pair().publicKey)
  assert.equal(stateOf(users, 'alice')?.locked, true)
  await users.changePassword(ADMIN, { ...ALICE, password: 'secret-word-2' })
  assert.equal(stateOf(users, 'alice')?.locked, false)
  await guess('secret-word-2')
})

test('with a key for logins the password alone is not enough, nor is a signature alone', async () => {
  const { users } = await withUsers()
  const { publicKey, privateKey } = pair()
  await users.changeMfa(ADMIN, { ...ALICE, registration: { publicKey, changeQuorum: false } })
  assert.deepEqual([stateOf(users, 'alice')?.mfa, stateOf(users, 'alice')?.quorum], [true, false])
  const login = (password: string, signed?: ReturnType<typeof signedWith>) =>
    users.login({ ...ALICE, password, signed }, '')
  await assert.rejects(login(PASSWORD), { code: 'MfaRequired' })
  await assert.rejects(login('wrong-word', signedWith(privateKey)), { code: 'LoginFailed' })
  await assert.rejects(login(PASSWORD, signedWith(pair().privateKey)), { code: 'LoginFailed' })
  const signed = signedWith(privateKey)
  await assert.rejects(login(PASSWORD, { ...signed, preimage: randomBytes(64) }), { code: 'LoginFailed' })
  assert.deepEqual(await login(PASSWORD, signed), ALICE)
})

test('wrong signatures count as failures and lock the account', async () => {
  const { users } = await withUsers()
  const { publicKey } = pair()
  const { privateKey: wrong } = pair()
  await users.changeMfa(ADMIN, { ...ALICE, registration: { publicKey, changeQuorum: false } })
  const login = () => users.login({ ...ALICE, password: PASSWORD, signed: signedWith(wrong) }, '')
  for (let i = 0; i < 6; i++) await assert.rejects(login(), { code: 'LoginFailed' })
  await assert.rejects(login(), { code: 'UserLocked' })
})

test('a user deregisters the own key, an admin anybody’s, also with a new password; then the password is enough', async () => {
  const { users } = await withUsers()
  const { publicKey } = pair()
  const register = () => users.changeMfa(ALICE, { ...ALICE, registration: { publicKey, changeQuorum: true } })
  for (const deregister of [
    () => users.changeMfa(ALICE, ALICE),
    () => users.changeMfa(ADMIN, ALICE),
    () => users.changePassword(ADMIN, { ...ALICE, password: PASSWORD, deregisterMfa: true }),
  ]) {
    await register()
    await deregister()
    assert.deepEqual([stateOf(users, 'alice')?.mfa, stateOf(users, 'alice')?.quorum], [false, true])
    await users.login({ ...ALICE, password: PASSWORD }, '')
  }
  await users.changePassword(ADMIN, { ...ALICE, password: PASSWORD, deregisterQuorum: true })
  assert.equal(users.approvalKeyOf(ALICE), undefined)
})

test('a password that is changed without a word about keys leaves them', async () => {
  const { users } = await withUsers()
  const { publicKey } = pair()
  await users.changeMfa(ALICE, { ...ALICE, registration: { publicKey, changeQuorum: true } })
  await users.changePassword(ADMIN, { ...ALICE, password: 'secret-word-2' })
  assert.equal(stateOf(users, 'alice')?.mfa, true)
  assert.deepEqual(users.approvalKeyOf(ALICE), publicKey)
})

test('a user has one key for both purposes; it changes for both or is refused', async () => {
  const { users } = await withUsers()
  const [first, second] = [pair().publicKey, pair().publicKey]
  await users.registerApprovalKey(ALICE, first)
  const registerMfa = (publicKey: Buffer, changeQuorum: boolean, by: typeof ADMIN | typeof ALICE = ALICE) =>
    users.changeMfa(by, { ...ALICE, registration: { publicKey, changeQuorum } })
  await assert.rejects(registerMfa(second, false), { code: 'InvalidRequest', message: /one key/ })
  await assert.rejects(registerMfa(second, true, ADMIN), { code: 'PermissionDenied' })
  await registerMfa(first, false)
  await assert.rejects(users.registerApprovalKey(ALICE, second), { code: 'InvalidRequest', message: /one key/ })
  await registerMfa(second, true)
  assert.deepEqual(users.approvalKeyOf(ALICE), second)
})

test('only RSA with 2,048 bits can be registered', async () => {
  const { users } = await withUsers()
  const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ type: 'spki', format: 'der' })
  const small = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey
  for (const publicKey of [
    ec,
    pair(3072).publicKey,
    pair(1024).publicKey,
    small.export({ type: 'spki', format: 'der' }),
    createHash('sha512').update('no key').digest(),
  ]) {
    await assert.rejects(users.registerApprovalKey(ALICE, publicKey), { code: 'InvalidRequest', message: /2048 bits/ })
  }
})

test('crypto users change nobody but themselves', async () => {
  const { users } = await withUsers()
  await users.create({ ...BOB, password: PASSWORD })
  await assert.rejects(users.changePassword(BOB, { ...ALICE, password: PASSWORD }), { code: 'PermissionDenied' })
  await assert.rejects(users.changeMfa(BOB, ALICE), { code: 'PermissionDenied' })
  await users.changePassword(BOB, { ...BOB, password: 'secret-word-2' })
})

test('an admin that a quorum value needs is not deleted', async () => {
  const { users } = await withUsers({ adminsNeeded: 2 })
  const second = { username: 'second', role: 'admin' } as const
  await users.create({ ...second, password: PASSWORD })
  await assert.rejects(users.delete(second), { code: 'PermissionDenied', message: /2 admins/ })
  await users.create({ username: 'third', role: 'admin', password: PASSWORD })
  await users.delete(second)
})

test('a cluster that was activated once is never again anybody’s to activate, even without an admin', async () => {
  const { store, users, open } = await withUsers()
  // Two HSMs that were apart can do that between them.
  await store.write([ADMIN, ALICE].map(({ username }) => ({ path: userPath(username), value: undefined })))
  for (const each of [users, open()]) {
    assert.equal(each.count, 0)
    await assert.rejects(each.activate('take-it-over'), { code: 'AlreadyActivated' })
  }
})

test('the role of one user is told without a look at the others: a key is shared with up to 1,024 at once', async () => {
  const { users } = await withUsers({ extra: 1_000 })
  const started = performance.now()
  for (let i = 0; i < 1_000; i += 1) assert.equal(users.roleOf(`user${i}`), 'crypto-user')
  // Listing all users for each took 330 ms.
  assert.ok(performance.now() - started < 100)
  assert.equal(users.roleOf('admin'), 'admin')
  assert.equal(users.roleOf('nobody'), undefined)
})
