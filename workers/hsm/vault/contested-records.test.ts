/**
 * Changes that two HSMs make of one thing while they cannot reach each other, each acknowledged or refused on its own side,
 * and what stands when they meet.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { generateSecret } from '../mechanisms/secret-keys.ts'
import { QuorumValues } from '../quorum/values.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { recordsOf } from './contested-records.ts'
import { setAttributes } from './key-management.ts'
import { Keys } from './keys.ts'
import { cheapHash } from './testing/cheap-passwords.ts'
import { ToldPeers } from './testing/told-peers.ts'
import { decodeUser, encodeUser, userPath } from './user-record.ts'
import { Users } from './users.ts'
import { withoutKeys } from './testing/without-keys.ts'

const ADMIN = { username: 'admin', role: 'admin' } as const
const BOB = { username: 'bob', role: 'crypto-user' } as const
const passwords = {
  hash: (password: string) => Promise.resolve(cheapHash(password)),
  check: () => Promise.resolve(false),
}

function hsm(hsmId: string) {
  const store = new MemoryStore(hsmId)
  const peers = new ToldPeers(3)
  const out: string[] = []
  const vaulted = { store, replication: peers, hsmType: () => 'hsm2m.medium' }
  const users = new Users({ ...vaulted, ...withoutKeys, onDeleted: (name) => out.push(name), passwords })
  const values = new QuorumValues({ ...vaulted, admins: () => 5 })
  const keys = new Keys({
    ...vaulted,
    userExists: () => true,
    isCryptoUser: () => true,
    keySeparation: 'trusted',
  })
  const passwordOf = (username: string) => {
    const value = recordsOf(store).get(userPath(username))?.value
    return value && Buffer.from(decodeUser(value).password.salt).toString('hex')
  }
  return {
    store,
    users,
    /** Whose logins were ended. */
    out,
    values,
    keys,
    /** Whether what is written here is held by others too. */
    set alone(alone: boolean) {
      peers.holding = alone ? 1 : 2
    },
    has: (password: string) => passwordOf('bob') === Buffer.from(cheapHash(password).salt).toString('hex'),
    change: (password: string) => users.changePassword(ADMIN, { ...BOB, password }),
    listed: () => users.list().some(({ username }) => username === 'bob'),
  }
}
type Hsm = ReturnType<typeof hsm>

/** Two HSMs that know of Bob. */
async function two(): Promise<[Hsm, Hsm]> {
  const one = hsm('hsm-1')
  const other = hsm('hsm-2')
  await one.users.create({ ...ADMIN, password: 'admin-secret' })
  await one.users.create({ ...BOB, password: 'first' })
  await meet(one, other)
  return [one, other]
}

/** Each takes over what the other has, in two orders. */
async function meet(one: Hsm, other: Hsm): Promise<void> {
  await other.store.apply(one.store.feedAfter(0, Infinity))
  await one.store.apply(other.store.feedAfter(0, Infinity).toReversed())
}

const refused = { code: 'NotEnoughCopies' }

/** Whichever of the two has the higher id. */
const bothWays = [
  { name: 'the one with the lower id', swap: false },
  { name: 'the one with the higher id', swap: true },
]

for (const { name, swap } of bothWays) {
  const apart = async (): Promise<[Hsm, Hsm]> => {
    const [one, other] = await two()
    const pair: [Hsm, Hsm] = swap ? [other, one] : [one, other]
    pair[0].alone = true
    return pair
  }

  test(`a password change that ${name} took back leaves the other's, which was acknowledged`, async () => {
    const [alone, other] = await apart()
    await other.change('acknowledged')
    await assert.rejects(alone.change('refused'), refused)
    await meet(alone, other)
    for (const each of [alone, other]) assert.ok(each.has('acknowledged'))
  })

  test(`a user whom ${name} could not make is there, as the other made one of that name`, async () => {
    const [alone, other] = [hsm(swap ? 'hsm-2' : 'hsm-1'), hsm(swap ? 'hsm-1' : 'hsm-2')]
    alone.alone = true
    await other.users.create({ ...BOB, password: 'acknowledged' })
    await assert.rejects(alone.users.create({ ...BOB, password: 'refused' }), refused)
    await meet(alone, other)
    for (const each of [alone, other]) assert.ok(each.has('acknowledged'))
  })

  test(`a user whom ${name} could not delete is gone, as the other deleted it`, async () => {
    const [alone, other] = await apart()
    await other.users.delete(BOB)
    await assert.rejects(alone.users.delete(BOB), refused)
    assert.ok(alone.has('first'))
    await meet(alone, other)
    for (const each of [alone, other]) assert.ok(!each.listed())
  })

  test(`a user who was deleted does not come back with what ${name} changed meanwhile, however often`, async () => {
    const [one, other] = await apart()
    one.alone = false
    await other.users.delete(BOB)
    for (const password of ['second', 'third', 'fourth']) await one.change(password)
    await meet(one, other)
    for (const each of [one, other]) assert.ok(!each.listed())
    await other.users.create({ ...BOB, password: 'another' })
    await meet(one, other)
    for (const each of [one, other]) assert.ok(each.has('another'))
  })

  test(`a user made anew where ${name} did not know is another: what is changed of the first one is not of the second`, async () => {
    const [one, other] = await apart()
    one.alone = false
    await other.users.delete(BOB)
    await other.users.create({ ...BOB, password: 'of the second' })
    for (const password of ['second', 'third', 'fourth']) await one.change(password)
    await meet(one, other)
    for (const each of [one, other]) assert.ok(each.has('of the second'))
  })

  test(`a use that was forbidden stays so when ${name} takes back the same, and one it allowed`, async () => {
    const [alone, other] = await apart()
    const owner = BOB
    const orders = [{ class: 'secret-key', template: { extractable: true, encrypt: true } }] as const
    const making = { owner, scope: { handles: new Set<string>() }, requireTwoCopies: false, orders }
    const [key] = await other.keys.create({ ...making, generate: () => [generateSecret('aes', 32)] })
    assert.ok(key)
    const { handle } = key
    await meet(alone, other)
    await setAttributes(other.keys, owner, handle, { encrypt: false })
    await assert.rejects(setAttributes(alone.keys, owner, handle, { encrypt: false }), refused)
    assert.equal(alone.keys.visible(owner, handle).attributes.encrypt, true)
    await meet(alone, other)
    for (const { keys } of [alone, other]) assert.equal(keys.visible(owner, handle).attributes.encrypt, false)
    await assert.rejects(setAttributes(alone.keys, owner, handle, { encrypt: true }), refused)
    await meet(alone, other)
    for (const { keys } of [alone, other]) assert.equal(keys.visible(owner, handle).attributes.encrypt, false)
  })

  test(`a quorum value that ${name} put back leaves the other's, which was acknowledged`, async () => {
    const [alone, other] = await apart()
    await other.values.set('user', 3)
    await assert.rejects(alone.values.set('user', 2), refused)
    assert.equal(alone.values.required('user'), 1)
    await meet(alone, other)
    for (const { values } of [alone, other]) assert.equal(values.required('user'), 3)
  })
}

test('a new password and a new role in quorums, set at once on two HSMs, both stand', async () => {
  const [one, other] = await two()
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await one.users.registerApprovalKey(BOB, publicKey.export({ type: 'spki', format: 'der' }))
  await other.change('second')
  await meet(one, other)
  for (const each of [one, other]) {
    assert.ok(each.has('second'))
    assert.ok(each.users.approvalKeyOf(BOB))
  }
})

test('whoever is logged in is out when the user is deleted and made anew at once, as another HSM hears of it', async () => {
  const [one, other] = await two()
  await one.users.delete(BOB)
  await one.users.create({ ...BOB, password: 'another' })
  await meet(one, other)
  assert.deepEqual(other.out, ['bob'])
})

test('two users of one name and different roles, made at once, become one: with its own password and no other', async () => {
  const [one, other] = [hsm('hsm-1'), hsm('hsm-2')]
  await one.users.create({ username: 'bob', role: 'admin', password: 'of the admin' })
  await other.users.create({ ...BOB, password: 'of the crypto user' })
  await meet(one, other)
  for (const each of [one, other]) {
    const users = each.users.list().filter(({ username }) => username === 'bob')
    assert.equal(users.length, 1)
    assert.ok(each.has(users[0]?.role === 'admin' ? 'of the admin' : 'of the crypto user'))
  }
})

test('users of stores and backups from before there were statements are changed, deleted and made again like others', async () => {
  const [one, other] = [hsm('hsm-1'), hsm('hsm-2')]
  const old = { path: userPath('bob'), version: { counter: 7, hsmId: 'hsm-0' } }
  for (const { store } of [one, other]) {
    await store.apply([{ ...old, value: encodeUser({ ...BOB, password: cheapHash('old') }) }])
  }
  assert.ok(one.has('old'))
  await one.change('second')
  await meet(one, other)
  assert.ok(other.has('second'))
  await other.users.delete(BOB)
  await one.change('third')
  await meet(one, other)
  assert.ok(!one.listed() && !other.listed())
  await one.users.create({ ...BOB, password: 'another' })
  await meet(one, other)
  for (const each of [one, other]) assert.ok(each.has('another'))
})

test('nothing is left of what was said of a key that is deleted', async () => {
  const [one, other] = await two()
  const making = { owner: BOB, scope: { handles: new Set<string>() }, requireTwoCopies: false } as const
  const orders = [{ class: 'secret-key', template: {} }] as const
  const [key] = await one.keys.create({ ...making, orders, generate: () => [generateSecret('aes', 32)] })
  assert.ok(key)
  await meet(one, other)
  for (const { keys } of [one, other]) await setAttributes(keys, BOB, key.handle, { label: 'named' })
  await meet(one, other)
  await one.keys.delete(BOB, key.handle)
  await setAttributes(other.keys, BOB, key.handle, { label: 'named again' })
  await meet(one, other)
  await meet(one, other)
  for (const { store } of [one, other]) {
    assert.deepEqual(
      store.list('').filter(({ path }) => path.includes(key.handle)),
      [],
    )
  }
})
