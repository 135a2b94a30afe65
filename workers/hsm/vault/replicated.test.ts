/**
 * Users and keys over a store in memory and peers that do as they are told: what happens when too few HSMs take a change
 * can be shown with real ones only by chance.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateSecret } from '../mechanisms/secret-keys.ts'
import { HsmError } from '../protocol/errors.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { setShared } from './key-management.ts'
import { Keys } from './keys.ts'
import { ToldPeers } from './testing/told-peers.ts'
import { withoutKeys } from './testing/without-keys.ts'
import { Users } from './users.ts'

/** What a call was refused with; `in` when it was not. */
function codeOf(outcome: PromiseSettledResult<unknown> | undefined): string {
  if (outcome?.status !== 'rejected') return 'in'
  const reason: unknown = outcome.reason
  return reason instanceof HsmError ? reason.code : String(reason)
}

async function vault(size: number) {
  const store = new MemoryStore('hsm-0')
  const replication = new ToldPeers(size)
  const deleted: string[] = []
  const hsmType = () => 'hsm2m.medium'
  const keys: Keys = new Keys({
    store,
    replication,
    hsmType,
    userExists: (name) => users.has(name),
    isCryptoUser: (name) => users.has(name) && name !== 'admin',
    keySeparation: 'trusted',
  })
  const users: Users = new Users({
    store,
    replication,
    hsmType,
    ownsKeys: (name) => keys.ownsKeys(name),
    onDeleted(name) {
      deleted.push(name)
      keys.endSessionSharing(name)
    },
    endSharing: (name) => keys.endSharing(name),
  })
  await users.activate('admin-secret-1')
  await users.create({ username: 'alice', role: 'crypto-user', password: 'alice-secret-1' })
  const owner = { username: 'alice', role: 'crypto-user' } as const
  const scope = { handles: new Set<string>() }
  const createAes = (requireTwoCopies: boolean, template = {}) =>
    keys.create({
      owner,
      scope,
      requireTwoCopies,
      orders: [{ class: 'secret-key', template }],
      generate: () => [generateSecret('aes', 16)],
    })
  const login = (password: string) => users.login({ ...owner, password }, '127.0.0.1')
  return { store, replication, users, keys, owner, scope, createAes, login, deleted }
}

test('a user that no other HSM takes is undone, and can be made once one does', async () => {
  const { users, replication } = await vault(2)
  const bob = { username: 'bob', role: 'crypto-user', password: 'bob-secret-1' } as const
  replication.holding = 1
  await assert.rejects(users.create(bob), { code: 'NotEnoughCopies' })
  assert.equal(users.has('bob'), false)
  replication.holding = 2
  await users.create(bob)
  assert.equal(users.has('bob'), true)
})

test('a changed password that no other HSM takes stays the old one; a deletion likewise', async () => {
  const { users, replication, login, owner } = await vault(2)
  replication.holding = 1
  const admin = { username: 'admin', role: 'admin' } as const
  await assert.rejects(users.changePassword(admin, { ...owner, password: 'alice-secret-2' }), {
    code: 'NotEnoughCopies',
  })
  assert.deepEqual(await login('alice-secret-1'), owner)
  await assert.rejects(users.delete(owner), { code: 'NotEnoughCopies' })
  assert.deepEqual(await login('alice-secret-1'), owner)
})

test('what is shared with a user ends with the deletion, and stays when that is refused', async () => {
  const { users, keys, replication, createAes, owner } = await vault(2)
  const bob = { username: 'bob', role: 'crypto-user' } as const
  await users.create({ ...bob, password: 'bob-secret-1' })
  const [key] = await createAes(true)
  assert.ok(key)
  await setShared(keys, owner, { handle: key.handle, username: 'bob', shared: true })
  const sharedWith = () => keys.describe(owner, [key.handle])[0]?.sharedWith
  replication.holding = 1
  await assert.rejects(users.delete(bob), { code: 'NotEnoughCopies' })
  assert.deepEqual(sharedWith(), ['bob'])
  replication.holding = 2
  await users.delete(bob)
  assert.deepEqual(sharedWith(), [])
})

test('a cluster of one HSM changes users alone', async () => {
  const { users } = await vault(1)
  await users.create({ username: 'bob', role: 'crypto-user', password: 'bob-secret-1' })
})

test('a token key that no other HSM takes is undone when two copies are required, and only then', async () => {
  const { keys, replication, createAes, owner, store } = await vault(2)
  replication.holding = 1
  await assert.rejects(createAes(true), { code: 'NotEnoughCopies' })
  assert.equal(keys.count, 0)
  assert.equal([...store.list('keys/')].length, 0)
  const [key] = await createAes(false)
  assert.equal(key?.coverage, 'partial')
  assert.throws(() => keys.usable(owner, key.handle, true), { code: 'NotEnoughCopies' })
  replication.holding = 2
  assert.equal(keys.usable(owner, key.handle, true).handle, key.handle)
})

test('the availability check is no concern of session keys', async () => {
  const { keys, replication, createAes, owner, scope } = await vault(2)
  replication.holding = 1
  const [key] = await createAes(true, { token: false })
  assert.ok(key)
  assert.equal(keys.usable(owner, key.handle, true).handle, key.handle)
  keys.endSession(scope)
  assert.throws(() => keys.usable(owner, key.handle, true), { code: 'KeyNotFound' })
})

test('two changes of one user at once: one is made, the other told to try again', async () => {
  const { users } = await vault(1)
  const bob = { username: 'bob', role: 'crypto-user', password: 'bob-secret-1' } as const
  const [first, second] = await Promise.allSettled([users.create(bob), users.create(bob)])
  assert.deepEqual([codeOf(first), codeOf(second)], ['in', 'Busy'])
})

test('two admins that delete each other at once: one stays', async () => {
  const { users } = await vault(1)
  await users.create({ username: 'second', role: 'admin', password: 'second-secret' })
  const outcomes = await Promise.allSettled([
    users.delete({ username: 'admin', role: 'admin' }),
    users.delete({ username: 'second', role: 'admin' }),
  ])
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

test('capacity counts keys that are still being made, and keys that failed no more', async () => {
  const { keys, owner, scope } = await vault(1)
  const gate = Promise.withResolvers<undefined>()
  const pair = (fail: boolean) =>
    keys.create({
      owner,
      scope,
      requireTwoCopies: false,
      orders: Array.from({ length: 3_333 }, () => ({ class: 'public-key', template: {} })),
      generate: async () => {
        await gate.promise
        if (fail) throw new Error('no entropy')
        return []
      },
    })
  const first = pair(true)
  await assert.rejects(pair(false), { code: 'LimitExceeded' })
  gate.resolve(undefined)
  await assert.rejects(first, /no entropy/)
  await assert.rejects(pair(true), /no entropy/)
})

test('a key that is there but not yet acknowledged counts once', async () => {
  const { replication, keys, createAes, owner, scope } = await vault(2)
  const fill = Array.from({ length: 16_664 }, () => ({ class: 'secret-key', template: { token: false } }) as const)
  const generate = () => fill.map(() => generateSecret('aes', 16))
  await keys.create({ owner, scope, requireTwoCopies: true, orders: fill, generate })
  const gate = Promise.withResolvers<number>()
  replication.spread = () => gate.promise
  const first = createAes(true)
  while (keys.count < 16_665) await new Promise((resolve) => setImmediate(resolve))
  const last = createAes(true)
  await assert.rejects(createAes(true), { code: 'LimitExceeded' })
  gate.resolve(2)
  await Promise.all([first, last])
  assert.equal(keys.count, 16_666)
})

test('an owner whose key is being made cannot be deleted, one without keys can and is told of', async () => {
  const { users, owner, createAes, deleted, keys } = await vault(1)
  const making = createAes(false)
  await assert.rejects(users.delete(owner), { code: 'PermissionDenied' })
  const [key] = await making
  await keys.delete(owner, key?.handle ?? '')
  await users.delete(owner)
  assert.deepEqual(deleted, ['alice'])
})

test("a peer's new password ends a lock on this HSM", async () => {
  const { store, users, login } = await vault(1)
  const peer = new MemoryStore('hsm-9')
  await peer.apply(store.feedAfter(0, 100))
  for (let i = 0; i < 6; i++) await assert.rejects(login('wrong-guess'), { code: 'LoginFailed' })
  await assert.rejects(login('alice-secret-1'), { code: 'UserLocked' })
  const there: Users = new Users({
    store: peer,
    replication: new ToldPeers(1),
    hsmType: () => 'hsm2m.medium',
    ...withoutKeys,
  })
  const admin = { username: 'admin', role: 'admin' } as const
  await there.changePassword(admin, { username: 'alice', role: 'crypto-user', password: 'alice-secret-2' })
  await store.apply(peer.feedAfter(0, 100))
  assert.equal(users.list().find(({ username }) => username === 'alice')?.locked, false)
  await login('alice-secret-2')
})

test('many logins at once are all answered; guesses at once lock the account as soon as guesses in turn', async () => {
  const { login } = await vault(1)
  await Promise.all(Array.from({ length: 20 }, () => login('alice-secret-1')))
  const guesses = await Promise.allSettled(Array.from({ length: 20 }, () => login('wrong-guess')))
  const codes = guesses.map(codeOf)
  assert.equal(codes.filter((code) => code === 'LoginFailed').length <= 7, true, codes.join())
  await assert.rejects(login('alice-secret-1'), { code: 'UserLocked' })
})

test('more logins than may wait are told to try again', async () => {
  const { login } = await vault(1)
  const outcomes = await Promise.allSettled(Array.from({ length: 80 }, () => login('alice-secret-1')))
  const busy = outcomes.filter((outcome) => codeOf(outcome) === 'Busy')
  assert.equal(busy.length, 80 - 64)
})

test('a write that was under way when limited-write mode began is refused, and nothing of it stays', async () => {
  const { keys, users, store, replication } = await vault(2)
  const before = store.list('').length
  const deciding = keys.create({
    owner: { username: 'alice', role: 'crypto-user' },
    scope: { handles: new Set() },
    requireTwoCopies: false,
    orders: [{ class: 'secret-key', template: {} }],
    generate: async () => {
      await Promise.resolve()
      replication.writesLimited = true
      return [generateSecret('aes', 32)]
    },
  })
  const outcomes = await Promise.allSettled([
    deciding,
    users.create({ username: 'bob', role: 'crypto-user', password: 'password-1' }),
  ])
  assert.deepEqual(outcomes.map(codeOf), ['PolicyRefused', 'PolicyRefused'])
  assert.equal(store.list('').length, before)
})
