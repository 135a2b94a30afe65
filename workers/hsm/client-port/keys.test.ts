/** What becomes of keys: sharing, quorum values, changes, promotion, templates, and all of it on two HSMs at once. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Packr } from 'msgpackr'
import type { KeyMaterial } from '../mechanisms/mechanism.ts'
import { importMaterial } from '../mechanisms/registry.ts'
import type { AttributeChange, AttributeTemplate, KeyInfo } from '../protocol/attributes.ts'
import { encodeFrame } from '../protocol/frame.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { recordsOf } from '../vault/contested-records.ts'
import { changePath, encodeChange } from '../vault/key-changes.ts'
import { hashPassword } from '../vault/passwords.ts'
import type { FeedEntry } from '../vault/record-store.ts'
import { encodeUser, userPath } from '../vault/user-record.ts'
import { startInProcess, type InProcessHsm, type InProcessSession } from './testing/in-process.ts'

const once = { requireTwoCopies: false } as const
const gcm = { name: 'aes-gcm' } as const

async function aes(session: InProcessSession, attributes: AttributeTemplate = {}): Promise<KeyInfo> {
  return (await session.call('key-generate-aes', { lengthBytes: 16, attributes, ...once })).key
}
const encrypt = (session: InProcessSession, { handle }: KeyInfo) =>
  session.call('encrypt', { handle, mechanism: gcm, data: Buffer.from('x'), ...once })
const set = (session: InProcessSession, { handle }: KeyInfo, attributes: AttributeChange) =>
  session.call('key-set-attribute', { handle, attributes })

async function seen(hsm: InProcessHsm, { handle }: KeyInfo): Promise<KeyInfo | undefined> {
  const { keys } = await hsm.as('alice').call('key-describe', { handles: [handle] })
  return keys[0]
}

test('a key is used by those it is shared with, until it is not; asking twice is as asking once', async () => {
  const hsm = await startInProcess()
  const [alice, bob] = [hsm.as('alice'), hsm.as('bob')]
  const key = await aes(alice, { encrypt: true })
  const { handle } = key
  await assert.rejects(encrypt(bob, key), { code: 'KeyNotFound' })
  for (let i = 0; i < 2; i++) {
    const shared = await alice.call('key-share', { handle, username: 'Bob' })
    assert.deepEqual(shared.key.sharedWith, ['bob'])
  }
  await encrypt(bob, key)
  for (let i = 0; i < 2; i++) {
    const unshared = await alice.call('key-unshare', { handle, username: 'bob' })
    assert.deepEqual(unshared.key.sharedWith, [])
  }
  await assert.rejects(encrypt(bob, key), { code: 'KeyNotFound' })
})

test('keys are shared with crypto users other than the owner; public keys are not', async () => {
  const hsm = await startInProcess()
  const alice = hsm.as('alice')
  const { handle } = await aes(alice)
  for (const username of ['nobody', 'admin']) {
    await assert.rejects(alice.call('key-share', { handle, username }), { code: 'UserNotFound' })
    await assert.rejects(
      alice.call('key-generate-aes', { lengthBytes: 16, attributes: {}, shareWith: [username], ...once }),
      { code: 'UserNotFound' },
    )
  }
  await assert.rejects(alice.call('key-share', { handle, username: 'alice' }), { code: 'InvalidRequest' })
  const { publicKey } = await alice.call('key-generate-ec', {
    curve: 'prime256v1',
    publicAttributes: {},
    privateAttributes: {},
    ...once,
  })
  await assert.rejects(alice.call('key-share', { handle: publicKey.handle, username: 'bob' }), {
    code: 'InvalidRequest',
  })
  assert.equal(hsm.keys.count, 3)
})

test('of a pair that is made shared, the private key is shared and has the quorum values', async () => {
  const hsm = await startInProcess()
  const { publicKey, privateKey } = await hsm.as('alice').call('key-generate-ec', {
    curve: 'prime256v1',
    publicAttributes: {},
    privateAttributes: {},
    shareWith: ['bob', 'bob', 'alice'],
    manageQuorum: 2,
    useQuorum: 1,
    ...once,
  })
  const holding = ({ sharedWith, manageQuorum, useQuorum }: KeyInfo) => [sharedWith, manageQuorum, useQuorum]
  assert.deepEqual(holding(publicKey), [[], 0, 0])
  assert.deepEqual(holding(privateKey), [['bob'], 2, 1])
})

test('a quorum value is at most the owner and the sharees, in the words of AWS', async () => {
  const alice = (await startInProcess()).as('alice')
  const make = (manageQuorum: number, useQuorum: number, shareWith: string[]) =>
    alice.call('key-generate-aes', {
      lengthBytes: 16,
      attributes: {},
      manageQuorum,
      useQuorum,
      shareWith,
      ...once,
    })
  const refusal = { code: 'InvalidRequest', message: 'Invalid quorum value provided.' }
  await assert.rejects(make(2, 0, []), refusal)
  await assert.rejects(make(0, 3, ['bob']), refusal)
  await assert.rejects(make(9, 0, ['bob']), { code: 'InvalidRequest' })
  const { key } = await make(0, 2, ['bob'])
  const unshare = alice.call('key-unshare', { handle: key.handle, username: 'bob' })
  await assert.rejects(unshare, { code: 'InvalidRequest', message: /2 users must stay/ })
})

test('managing a key and signing with it, in one piece or in parts, takes the approvals that its quorum values ask for', async () => {
  const alice = (await startInProcess()).as('alice')
  const { privateKey } = await alice.call('key-generate-ec', {
    curve: 'prime256v1',
    publicAttributes: {},
    privateAttributes: { sign: true, unwrap: true },
    shareWith: ['bob'],
    manageQuorum: 2,
    useQuorum: 2,
    ...once,
  })
  const { handle } = privateKey
  const wrapping = await aes(alice, { wrap: true })
  const data = Buffer.from('x')
  const mechanism = { name: 'ecdsa', hash: 'sha256' } as const
  const unwrap = { handle, wrapped: data, class: 'secret-key', type: 'aes', attributes: {} } as const
  const wrap = { wrappingHandle: wrapping.handle, mechanism: { name: 'aes-zero-pad' } } as const
  for (const ask of [
    () => set(alice, privateKey, { label: 'x' }),
    () => alice.call('key-share', { handle, username: 'bob' }),
    () => alice.call('key-unshare', { handle, username: 'bob' }),
    () => alice.call('key-wrap', { handle, ...wrap, ...once }),
    () => alice.call('key-unwrap', { ...unwrap, mechanism: { name: 'rsa-oaep', hash: 'sha256' } }),
    () => alice.call('sign', { handle, mechanism, data, ...once }),
    () => alice.call('part-begin', { use: 'sign', handle, mechanism, ...once }),
  ]) {
    await assert.rejects(ask, { code: 'QuorumRequired', message: 'Quorum approval is required for this operation' })
  }
  await alice.call('key-delete', { handle })
})

test('whoever comes under the name of a deleted user has none of the keys shared with that one', async () => {
  const hsm = await startInProcess()
  const [alice, admin] = [hsm.as('alice'), hsm.as('admin')]
  const key = await aes(alice, { encrypt: true })
  const session = await aes(alice, { encrypt: true, token: false })
  for (const { handle } of [key, session]) await alice.call('key-share', { handle, username: 'bob' })
  await admin.call('user-delete', { username: 'bob', role: 'crypto-user' })
  await admin.call('user-create', { username: 'bob', role: 'crypto-user', password: 'another-bob-1' })
  for (const each of [key, session]) {
    await assert.rejects(encrypt(hsm.as('bob'), each), { code: 'KeyNotFound' })
    assert.deepEqual((await seen(hsm, each))?.sharedWith, [])
  }
})

test('nor of those that an HSM which had not heard of the deletion shared with that one meanwhile', async () => {
  const store = new MemoryStore('hsm-0')
  const hsm = await startInProcess({ store })
  const [alice, admin] = [hsm.as('alice'), hsm.as('admin')]
  const key = await aes(alice, { encrypt: true })
  await admin.call('user-delete', { username: 'bob', role: 'crypto-user' })
  const shared = { username: 'bob', shared: true }
  const there = new MemoryStore('hsm-1')
  const change = { path: changePath(key.handle, shared), value: encodeChange(shared) }
  await store.apply(await there.write(recordsOf(there).stating([change])))
  assert.deepEqual((await seen(hsm, key))?.sharedWith, ['bob'])
  await admin.call('user-create', { username: 'bob', role: 'crypto-user', password: 'another-bob-1' })
  await assert.rejects(encrypt(hsm.as('bob'), key), { code: 'KeyNotFound' })
  assert.deepEqual((await seen(hsm, key))?.sharedWith, [])
})

test('changes of attributes and of sharing outlive the process', async () => {
  const store = new MemoryStore('hsm-0')
  const before = await startInProcess({ store })
  const alice = before.as('alice')
  const key = await aes(alice, { label: 'old' })
  await set(alice, key, { label: 'new', encrypt: true, extractable: false, 'wrap-template': { class: 'secret-key' } })
  await set(alice, key, { 'wrap-template': null })
  await alice.call('key-share', { handle: key.handle, username: 'bob' })
  await set(before.as('admin'), key, { trusted: true })
  const after = await startInProcess({ store })
  const expected = {
    ...key,
    sharedWith: ['bob'],
    attributes: { ...key.attributes, label: 'new', encrypt: true, extractable: false, trusted: true },
  }
  assert.deepEqual(await seen(after, key), expected)
  const { keys } = await after.as('alice').call('key-find', { filter: { attributes: { label: 'new' } } })
  assert.deepEqual(keys, [expected])
  assert.equal((await after.as('alice').call('key-find', { filter: { attributes: { label: 'old' } } })).total, 0)
  // That it was ever trusted is remembered as well.
  await assert.rejects(set(after.as('alice'), key, { decrypt: true }), { code: 'PolicyRefused' })
})

test('a key made before there were quorum values and changes is read, used and changed', async () => {
  const store = new MemoryStore('hsm-0')
  const hsm = await startInProcess({ store })
  const key = await aes(hsm.as('alice'), { encrypt: true })
  const old = {
    owner: 'alice',
    sharedWith: ['bob'],
    attributes: key.attributes,
    material: randomBytes(16),
  }
  const handle = '0x00000000000000aa'
  await store.write([{ path: `keys/${handle}`, value: new Packr({ useRecords: false }).pack(old) }])
  const found = await seen(hsm, { ...key, handle })
  assert.deepEqual([found?.sharedWith, found?.manageQuorum, found?.useQuorum], [['bob'], 0, 0])
  await encrypt(hsm.as('bob'), { ...key, handle })
  const { key: unshared } = await hsm.as('alice').call('key-unshare', { handle, username: 'bob' })
  assert.deepEqual(unshared.sharedWith, [])
})

test('a session key that becomes a token key has the same handle and stays', async () => {
  const store = new MemoryStore('hsm-0')
  const hsm = await startInProcess({ store })
  const alice = hsm.as('alice')
  const key = await aes(alice, { token: false, encrypt: true })
  await set(alice, key, { label: 'changed before' })
  const { key: promoted } = await set(alice, key, { token: true })
  assert.deepEqual([promoted.handle, promoted.coverage], [key.handle, 'full'])
  alice.end()
  await encrypt(hsm.as('alice'), key)
  assert.equal((await seen(await startInProcess({ store }), key))?.attributes.label, 'changed before')
  await assert.rejects(set(hsm.as('alice'), key, { token: false }), { code: 'InvalidRequest' })
})

test('a session key that no other HSM takes as a token key stays a session key, and ends as one', async () => {
  const hsm = await startInProcess({ size: 2 })
  const alice = hsm.as('alice')
  const { key } = await alice.call('key-generate-aes', {
    lengthBytes: 16,
    attributes: { token: false, encrypt: true },
  })
  hsm.peers.holding = 1
  await assert.rejects(set(alice, key, { token: true }), { code: 'NotEnoughCopies' })
  assert.equal((await seen(hsm, key))?.coverage, 'session')
  await encrypt(alice, key)
  hsm.peers.holding = 2
  await set(alice, key, { token: true })
  alice.end()
  await encrypt(hsm.as('alice'), key)
})

test('a session that ends while its key fails to become a token key takes the key with it', async () => {
  const hsm = await startInProcess({ size: 2 })
  const alice = hsm.as('alice')
  const { key } = await alice.call('key-generate-aes', { lengthBytes: 16, attributes: { token: false } })
  hsm.peers.holding = 1
  hsm.peers.onSpread = () => {
    alice.end()
    return Promise.resolve()
  }
  await assert.rejects(set(alice, key, { token: true }), { code: 'NotEnoughCopies' })
  assert.equal(hsm.keys.count, 0)
})

test('a change that no other HSM takes is undone', async () => {
  const hsm = await startInProcess({ size: 2 })
  const alice = hsm.as('alice')
  const key = await aes(alice)
  hsm.peers.holding = 1
  await assert.rejects(set(alice, key, { label: 'x', extractable: false }), { code: 'NotEnoughCopies' })
  await assert.rejects(alice.call('key-share', { handle: key.handle, username: 'bob' }), { code: 'NotEnoughCopies' })
  hsm.peers.holding = 2
  assert.deepEqual(await seen(hsm, key), key)
})

/** Two HSMs of a cluster that hear of each other when they are told to. */
async function pair() {
  const one = await startInProcess({ store: new MemoryStore('hsm-0') })
  const other = await startInProcess({ store: new MemoryStore('hsm-1') })
  const all = (hsm: InProcessHsm): FeedEntry[] => hsm.store.feedAfter(0, Infinity)
  const meet = async (order: (entries: FeedEntry[]) => FeedEntry[] = (entries) => entries) => {
    for (let round = 0; round < 2; round++) {
      await other.store.apply(order(all(one)))
      await one.store.apply(order(all(other)))
    }
  }
  await meet()
  return { one, other, meet }
}

test('what two HSMs change of one key at once both stands, on both: a restriction is never taken back', async () => {
  const { one, other, meet } = await pair()
  const key = await aes(one.as('alice'), { label: 'old' })
  await meet()
  await set(one.as('alice'), key, { extractable: false })
  await set(one.as('admin'), key, { trusted: true })
  // This one has not heard of it, and writes later, which would win.
  for (const label of ['a', 'b', 'c']) await set(other.as('alice'), key, { label })
  await other.as('alice').call('key-share', { handle: key.handle, username: 'bob' })
  await meet()
  for (const hsm of [one, other]) {
    const now = await seen(hsm, key)
    assert.deepEqual(
      [now?.attributes.extractable, now?.attributes.trusted, now?.attributes.label, now?.sharedWith],
      [false, true, 'c', ['bob']],
    )
  }
})

test('a change may come before the key that it is of', async () => {
  const { one, other, meet } = await pair()
  const key = await aes(one.as('alice'))
  await set(one.as('alice'), key, { label: 'new', extractable: false })
  await meet((entries) => entries.toReversed())
  const there = await seen(other, key)
  assert.deepEqual([there?.attributes.label, there?.attributes.extractable], ['new', false])
})

test('a key deleted here and changed there at once is gone on both, and nothing of it is left', async () => {
  const { one, other, meet } = await pair()
  const key = await aes(one.as('alice'))
  await set(one.as('alice'), key, { label: 'known to both' })
  await meet()
  await one.as('alice').call('key-delete', { handle: key.handle })
  await set(other.as('alice'), key, { label: 'too late', encrypt: true })
  await meet()
  await meet()
  for (const hsm of [one, other]) {
    assert.equal(hsm.keys.count, 0)
    const left = ['keys/', 'key-attributes/', 'key-shares/'].flatMap((prefix) => [...hsm.store.list(prefix)])
    assert.deepEqual(left, [])
  }
})

for (const [hsmType, fill, order] of [
  ['hsm1.medium', 3_299, 'secret-key'],
  ['hsm2m.medium', 16_665, 'secret-key'],
  ['hsm2m.medium', 3_332, 'public-key'],
] as const) {
  test(`two HSMs of ${hsmType} with ${fill} keys (${order}) make the last at once: there is never one too many`, async () => {
    const one = await startInProcess({ size: 2, hsmType, store: new MemoryStore('hsm-0') })
    const other = await startInProcess({ size: 2, hsmType, store: new MemoryStore('hsm-1') })
    const spki = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
    const type = order === 'public-key' ? 'ec' : 'aes'
    const bytes = type === 'ec' ? spki : randomBytes(16)
    const material = importMaterial({ class: order, type, mode: 'FIPS', hsmType }, bytes)
    const make = (hsm: InProcessHsm, token: boolean, copies: number) =>
      hsm.keys.create({
        owner: { username: 'alice', role: 'crypto-user' },
        scope: { handles: new Set() },
        requireTwoCopies: true,
        orders: Array.from({ length: copies }, () => ({ class: order, template: { token } })),
        generate: () => new Array<KeyMaterial>(copies).fill(material),
      })
    await make(one, false, fill)
    await make(other, false, fill)
    one.peers.onSpread = (entries) => other.store.apply(entries)
    other.peers.onSpread = (entries) => one.store.apply(entries)
    const tries = await Promise.allSettled([make(one, true, 1), make(other, true, 1)])
    const made = tries.filter(({ status }) => status === 'fulfilled').length
    assert.ok(made <= 1, `${made} were made`)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([one.keys.count, other.keys.count], [fill + made, fill + made])
  })
}

test('wrapping asks for what the wrapping key’s wrap-template says', async () => {
  const alice = (await startInProcess()).as('alice')
  const wrapping = await aes(alice, { wrap: true })
  await set(alice, wrapping, { 'wrap-template': { class: 'secret-key', 'key-type': 'aes', encrypt: true } })
  const wrap = ({ handle }: KeyInfo) =>
    alice.call('key-wrap', { handle, wrappingHandle: wrapping.handle, mechanism: gcm, ...once })
  await assert.rejects(wrap(await aes(alice)), { code: 'KeyFunctionNotPermitted', message: /encrypt=true/ })
  const { wrapped, iv } = await wrap(await aes(alice, { encrypt: true }))
  assert.deepEqual([wrapped.length, iv?.length], [32, 12])
})

test('templates name an id in either case, as everything else does', async () => {
  const alice = (await startInProcess()).as('alice')
  const key = await aes(alice, { wrap: true, unwrap: true })
  await set(alice, key, { 'wrap-template': { id: '0xAB' }, 'unwrap-template': { id: '0xAB' } })
  const { handle } = await aes(alice, { id: '0xAB' })
  const mechanism = { name: 'aes-zero-pad' } as const
  const { wrapped } = await alice.call('key-wrap', { handle, wrappingHandle: key.handle, mechanism, ...once })
  const { key: back } = await alice.call('key-unwrap', {
    handle: key.handle,
    mechanism,
    wrapped,
    class: 'secret-key',
    type: 'aes',
    attributes: { id: '0xab' },
    ...once,
  })
  assert.equal(back.attributes.id, '0xab')
})

test('an unwrapped key has what the unwrap-template and the caller say together; what contradicts is refused', async () => {
  const alice = (await startInProcess()).as('alice')
  const key = await aes(alice, { wrap: true, unwrap: true })
  await set(alice, key, { 'unwrap-template': { class: 'secret-key', 'key-type': 'aes', extractable: false } })
  const payload = await aes(alice)
  const wrappingHandle = key.handle
  const mechanism = { name: 'aes-zero-pad' } as const
  const { wrapped } = await alice.call('key-wrap', { handle: payload.handle, wrappingHandle, mechanism, ...once })
  const unwrap = (attributes: AttributeTemplate, type: 'aes' | 'generic-secret' = 'aes') =>
    alice.call('key-unwrap', {
      handle: key.handle,
      mechanism,
      wrapped,
      class: 'secret-key',
      type,
      attributes,
      ...once,
    })
  const contradiction = { code: 'InvalidRequest', message: /contradicts the unwrap-template/ }
  await assert.rejects(unwrap({ extractable: true }), contradiction)
  await assert.rejects(unwrap({}, 'generic-secret'), contradiction)
  const { key: back } = await unwrap({ label: 'back', encrypt: true })
  const { extractable, encrypt: encrypts, label, local, sign } = back.attributes
  assert.deepEqual([extractable, encrypts, label, local, sign], [false, true, 'back', false, true])
  assert.equal(back.attributes['check-value'], payload.attributes['check-value'])
})

test('keys come in as they are: secret, private and public, as session keys where PKCS#11 says nothing', async () => {
  const alice = (await startInProcess()).as('alice')
  const pairOfKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const forms = [
    ['secret-key', 'aes', randomBytes(32)],
    ['private-key', 'ec', pairOfKeys.privateKey.export({ type: 'pkcs8', format: 'der' })],
    ['public-key', 'ec', pairOfKeys.publicKey.export({ type: 'spki', format: 'der' })],
  ] as const
  for (const [keyClass, type, key] of forms) {
    const { key: imported } = await alice.call('key-import', {
      class: keyClass,
      type,
      key: Uint8Array.from(key),
      attributes: {},
      defaults: 'pkcs11',
    })
    const { attributes } = imported
    assert.deepEqual([imported.coverage, attributes.class, attributes['key-type']], ['session', keyClass, type])
    assert.deepEqual(
      [attributes.local, attributes['always-sensitive'], attributes['never-extractable']],
      [false, false, false],
    )
  }
})

test('the value of a secret key can be read if nothing about it is secret', async () => {
  const alice = (await startInProcess()).as('alice')
  const value = randomBytes(16)
  const { key } = await alice.call('key-import', {
    class: 'secret-key',
    type: 'aes',
    key: Uint8Array.from(value),
    attributes: { sensitive: false },
    defaults: 'pkcs11',
  })
  const read = async () => Buffer.from((await alice.call('key-value', { handle: key.handle })).value)
  assert.deepEqual(await read(), value)
  await set(alice, key, { sensitive: true })
  await assert.rejects(read, { code: 'KeyFunctionNotPermitted' })
})

test('many keys are described at once, in the order asked for, without those of others', async () => {
  const hsm = await startInProcess()
  const own = [await aes(hsm.as('alice')), await aes(hsm.as('alice'))]
  const others = await aes(hsm.as('bob'))
  const handles = [own[1], others, own[0]].map((key) => key?.handle ?? '')
  const { keys } = await hsm.as('alice').call('key-describe', { handles })
  assert.deepEqual(
    keys.map(({ handle }) => handle),
    [own[1]?.handle, own[0]?.handle],
  )
})

test('with the key-availability check a key is neither imported nor wrapped with on one HSM alone', async () => {
  const hsm = await startInProcess({ size: 2 })
  const alice = hsm.as('alice')
  const wrapping = await aes(alice, { wrap: true })
  const payload = await aes(alice)
  hsm.peers.holding = 1
  const wrap = { handle: payload.handle, wrappingHandle: wrapping.handle, mechanism: gcm }
  await assert.rejects(alice.call('key-wrap', wrap), { code: 'NotEnoughCopies' })
  await alice.call('key-wrap', { ...wrap, ...once })
  const key = { class: 'secret-key', type: 'aes', attributes: {} } as const
  await assert.rejects(alice.call('key-import', { ...key, key: randomBytes(16) }), { code: 'NotEnoughCopies' })
  await alice.call('key-import', { ...key, key: randomBytes(16), ...once })
})

test('when a user goes with whom many keys are shared, that ends in many commits: others have their turn between', async () => {
  const hsm = await startInProcess()
  const attributes = { token: true }
  for (let i = 0; i < 300; i += 1) {
    await hsm.as('alice').call('key-generate-aes', { lengthBytes: 16, attributes, shareWith: ['bob'], ...once })
  }
  const commits: number[] = []
  hsm.store.onCommit((entries) => commits.push(entries.length))
  await hsm.as('admin').call('user-delete', { username: 'bob', role: 'crypto-user' })
  const { keys } = await hsm.as('alice').call('key-find', { filter: {} })
  assert.equal(keys.length, 300)
  assert.ok(keys.every(({ sharedWith }) => sharedWith.length === 0))
  assert.deepEqual(commits, [1, 256, 44])
})

test('keys that are shared with very many users come in pages that fit into a frame, and none is left out', async () => {
  const store = new MemoryStore('hsm-0')
  const password = await hashPassword('not-used-1')
  const names = Array.from({ length: 1_000 }, (_, i) => `a_user_whose_name_is_long_${String(i).padStart(5, '0')}`)
  const role = 'crypto-user' as const
  await store.write(
    names.map((username) => ({ path: userPath(username), value: encodeUser({ username, role, password }) })),
  )
  const alice = (await startInProcess({ store })).as('alice')
  const order = { lengthBytes: 16, attributes: { token: false }, shareWith: names, ...once } as const
  const made: string[] = []
  for (let i = 0; i < 200; i += 1) made.push((await alice.call('key-generate-aes', order)).key.handle)
  const found: string[] = []
  while (found.length < made.length) {
    const page = await alice.call('key-find', { filter: {}, offset: found.length })
    assert.equal(page.total, made.length)
    assert.ok(page.keys.length > 0 && encodeFrame(page).length > 0)
    found.push(...page.keys.map(({ handle }) => handle))
  }
  assert.deepEqual(found, made.toSorted())
})
