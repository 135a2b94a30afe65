/** The client port of a real HSM process over TLS. */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, constants, generateKeyPairSync, sign, verify } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Connection } from '../protocol/connection.ts'
import { startCluster, type TestCluster } from '../testing/process.ts'

let cluster: TestCluster
const open: Connection<ClientOperations>[] = []

async function connected(): Promise<Connection<ClientOperations>> {
  const connection = await cluster.first.client(cluster.customer.certificate)
  open.push(connection)
  return connection
}

async function loggedIn(username: string, role: 'admin' | 'crypto-user', password: string) {
  const connection = await connected()
  await connection.call('login', { username, role, password })
  return connection
}
const admin = () => loggedIn('admin', 'admin', 'admin-secret-1')
const alice = () => loggedIn('alice', 'crypto-user', 'alice-secret-1')

before(async () => {
  cluster = await startCluster()
})
after(async () => {
  await Promise.all(open.map((connection) => connection.close()))
  await cluster.first.dispose()
})

test('before activation there is an unactivated admin, and nobody can log in', async () => {
  const connection = await connected()
  const { users } = await connection.call('user-list', {})
  assert.deepEqual(
    users.map(({ username, role }) => [username, role]),
    [
      ['admin', 'unactivated-admin'],
      ['app_user', 'internal(APPLIANCE_USER)'],
    ],
  )
  await assert.rejects(connection.call('login', { username: 'admin', role: 'admin', password: 'whatever1' }), {
    code: 'NotActivated',
  })
  await assert.rejects(connection.call('random', { length: 1 }), { code: 'NotActivated' })
})

test('activation makes the first admin, once', async () => {
  const connection = await connected()
  await connection.call('activate', { password: 'admin-secret-1' })
  await assert.rejects(connection.call('activate', { password: 'other-secret' }), { code: 'AlreadyActivated' })
  const management = await cluster.first.management()
  assert.equal((await management.call('health', {})).phase, 'active')
  await management.close()
})

test('an admin makes users; names are kept in lower case and are unique', async () => {
  const connection = await admin()
  await connection.call('user-create', { username: 'Alice', role: 'crypto-user', password: 'alice-secret-1' })
  await connection.call('user-create', { username: 'bob', role: 'crypto-user', password: 'bob-secret-1' })
  await assert.rejects(connection.call('user-create', { username: 'ALICE', role: 'admin', password: 'x-secret-1' }), {
    code: 'UserExists',
  })
  const { users } = await connection.call('user-list', {})
  assert.deepEqual(
    users.map(({ username }) => username),
    ['admin', 'alice', 'bob', 'app_user'],
  )
})

test('a connection is greeted first, logs in once, and forgets its login at logout', async () => {
  const connection = await alice()
  await assert.rejects(connection.call('login', { username: 'bob', role: 'crypto-user', password: 'bob-secret-1' }), {
    code: 'WrongState',
  })
  await connection.call('logout', {})
  await assert.rejects(connection.call('random', { length: 8 }), { code: 'NotAuthenticated' })
})

const wrongLogins = [
  ['a wrong password', { username: 'bob', role: 'crypto-user', password: 'bob-secret-2' }],
  ['a wrong role', { username: 'bob', role: 'admin', password: 'bob-secret-1' }],
  ['an unknown name', { username: 'eve', role: 'crypto-user', password: 'bob-secret-1' }],
] as const
for (const [what, login] of wrongLogins) {
  test(`${what} is refused in the same words as any other`, async () => {
    const connection = await connected()
    await assert.rejects(connection.call('login', login), {
      code: 'LoginFailed',
      message: 'login failed: user name, role or password is wrong',
    })
  })
}

test('a logout does not overtake a login that is under way', async () => {
  const connection = await connected()
  const login = connection.call('login', { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' })
  await assert.rejects(connection.call('logout', {}), { code: 'WrongState', message: /login is under way/ })
  await login
  await connection.call('logout', {})
  await assert.rejects(connection.call('random', { length: 1 }), { code: 'NotAuthenticated' })
})

test('a crypto user may not make users, an admin may not use keys', async () => {
  const user = await alice()
  await assert.rejects(user.call('user-create', { username: 'x', role: 'admin', password: 'x-secret-1' }), {
    code: 'PermissionDenied',
  })
  const officer = await admin()
  await assert.rejects(officer.call('random', { length: 8 }), { code: 'PermissionDenied' })
})

const once = { requireTwoCopies: false } as const
const messages = [Buffer.alloc(0), Buffer.from('pay 100 EUR'), Buffer.alloc(100_000, 7)]

test('an RSA pair signs, PKCS#1 v1.5 and PSS, message or digest, and node:crypto verifies', async () => {
  const connection = await alice()
  const { publicKey, privateKey } = await connection.call('key-generate-rsa', {
    modulusBits: 2048,
    publicExponent: 65537,
    publicAttributes: { label: 'rsa-pub', verify: true },
    privateAttributes: { label: 'rsa', sign: true },
    ...once,
  })
  const { spki } = await connection.call('key-public', { handle: privateKey.handle })
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  assert.equal(privateKey.attributes['check-value'], publicKey.attributes['check-value'])
  assert.equal(publicKey.attributes['key-length-bytes'], 512)
  assert.equal(publicKey.attributes['public-exponent'], '0x010001')
  for (const hash of ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const) {
    for (const message of messages) {
      for (const dataType of ['raw', 'digest'] as const) {
        const data = dataType === 'raw' ? message : createHash(hash).update(message).digest()
        const pkcs = { name: 'rsa-pkcs', hash, dataType } as const
        const pss = { name: 'rsa-pkcs-pss', hash, mgf: hash, saltLength: 20, dataType } as const
        const one = await connection.call('sign', { handle: privateKey.handle, mechanism: pkcs, data, ...once })
        assert.ok(verify(hash, message, key, one.signature))
        const two = await connection.call('sign', { handle: privateKey.handle, mechanism: pss, data, ...once })
        const padding = constants.RSA_PKCS1_PSS_PADDING
        assert.ok(verify(hash, message, { key, padding, saltLength: 20 }, two.signature))
        for (const [mechanism, { signature }] of [
          [pkcs, one],
          [pss, two],
        ] as const) {
          const good = { handle: publicKey.handle, mechanism, data, signature, ...once }
          assert.deepEqual(await connection.call('verify', good), { valid: true })
          const bad = Buffer.from(signature)
          bad.writeUInt8(bad.readUInt8(100) ^ 1, 100)
          assert.deepEqual(await connection.call('verify', { ...good, signature: bad }), { valid: false })
          assert.deepEqual(await connection.call('verify', { ...good, signature: bad.subarray(1) }), { valid: false })
        }
      }
    }
  }
})

for (const [curve, hash, length] of [
  ['prime256v1', 'sha256', 64],
  ['secp384r1', 'sha384', 96],
  ['secp384r1', 'sha512', 96],
] as const) {
  test(`an EC pair on ${curve} signs ${hash} as r||s, message or digest, and node:crypto verifies`, async () => {
    const connection = await alice()
    const { publicKey, privateKey } = await connection.call('key-generate-ec', {
      curve,
      publicAttributes: { verify: true },
      privateAttributes: { sign: true },
      ...once,
    })
    assert.equal(publicKey.attributes['ec-point']?.length, 2 + 2 * (length + 1))
    const { spki } = await connection.call('key-public', { handle: publicKey.handle })
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    for (const message of messages) {
      for (const dataType of ['raw', 'digest'] as const) {
        const data = dataType === 'raw' ? message : createHash(hash).update(message).digest()
        const mechanism = { name: 'ecdsa', hash, dataType } as const
        const { signature } = await connection.call('sign', { handle: privateKey.handle, mechanism, data, ...once })
        assert.equal(signature.length, length)
        assert.ok(verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature))
        const good = { handle: publicKey.handle, mechanism, data, signature, ...once }
        assert.deepEqual(await connection.call('verify', good), { valid: true })
        const bad = Buffer.from(signature)
        bad.writeUInt8(bad.readUInt8(40) ^ 1, 40)
        assert.deepEqual(await connection.call('verify', { ...good, signature: bad }), { valid: false })
      }
    }
  })
}

test('AES-GCM gives back what it was given, and nothing once a bit is changed', async () => {
  const connection = await alice()
  const { key } = await connection.call('key-generate-aes', {
    lengthBytes: 32,
    attributes: { label: 'data', encrypt: true, decrypt: true },
    ...once,
  })
  const aad = Buffer.from('header')
  for (const tagBits of [96, 128] as const) {
    const mechanism = { name: 'aes-gcm', aad, tagBits } as const
    const data = Buffer.from('secret message')
    const { iv, ciphertext } = await connection.call('encrypt', { handle: key.handle, mechanism, data, ...once })
    assert.deepEqual([iv.length, ciphertext.length], [12, data.length + tagBits / 8])
    const back = { handle: key.handle, mechanism: { ...mechanism, iv }, data: ciphertext, ...once }
    assert.deepEqual(Buffer.from((await connection.call('decrypt', back)).plaintext), data)
    const bad = Buffer.from(ciphertext)
    bad.writeUInt8(bad.readUInt8(0) ^ 1, 0)
    await assert.rejects(connection.call('decrypt', { ...back, data: bad }), { code: 'DecryptionFailed' })
    const otherAad = { ...back, mechanism: { ...back.mechanism, aad: Buffer.from('other') } }
    await assert.rejects(connection.call('decrypt', otherAad), { code: 'DecryptionFailed' })
  }
})

test('attributes decide what a key may do, and mechanisms which key they take', async () => {
  const connection = await alice()
  const { publicKey, privateKey } = await connection.call('key-generate-rsa', {
    modulusBits: 2048,
    publicExponent: 65537,
    publicAttributes: {},
    privateAttributes: { sign: false },
    ...once,
  })
  const data = Buffer.from('x')
  const pkcs = { name: 'rsa-pkcs', hash: 'sha256' } as const
  const sign = (handle: string, mechanism: Parameters<typeof connection.call<'sign'>>[1]['mechanism']) =>
    connection.call('sign', { handle, mechanism, data, ...once })
  await assert.rejects(sign(privateKey.handle, pkcs), { code: 'KeyFunctionNotPermitted' })
  await assert.rejects(sign(publicKey.handle, pkcs), { code: 'KeyFunctionNotPermitted' })
  await assert.rejects(sign(privateKey.handle, { name: 'ecdsa', hash: 'sha256' }), { code: 'MechanismInvalid' })
  await assert.rejects(sign('0x00000000000000ff', pkcs), { code: 'KeyNotFound' })
})

test('in FIPS mode ECDSA refuses a hash weaker than the curve and names the rule', async () => {
  const connection = await alice()
  const { privateKey } = await connection.call('key-generate-ec', {
    curve: 'secp384r1',
    publicAttributes: {},
    privateAttributes: { sign: true },
    ...once,
  })
  const mechanism = { name: 'ecdsa', hash: 'sha256' } as const
  await assert.rejects(
    connection.call('sign', { handle: privateKey.handle, mechanism, data: Buffer.from('x'), ...once }),
    { code: 'MechanismInvalid', message: /Digest security strength \(128\) is weaker .* \(192\).*FIPS 186-5/ },
  )
})

test("another user's keys cannot be found, used or deleted; public keys can be seen", async () => {
  const owner = await alice()
  const { publicKey, privateKey } = await owner.call('key-generate-ec', {
    curve: 'prime256v1',
    publicAttributes: { label: 'shared-sight' },
    privateAttributes: { label: 'shared-sight', sign: true },
    ...once,
  })
  const other = await loggedIn('bob', 'crypto-user', 'bob-secret-1')
  const filter = { attributes: { label: 'shared-sight' } }
  const seen = await other.call('key-find', { filter })
  assert.deepEqual(
    seen.keys.map(({ handle }) => handle),
    [publicKey.handle],
  )
  const mechanism = { name: 'ecdsa', hash: 'sha256' } as const
  await assert.rejects(other.call('sign', { handle: privateKey.handle, mechanism, data: Buffer.from('x'), ...once }), {
    code: 'KeyNotFound',
  })
  await assert.rejects(other.call('key-delete', { handle: privateKey.handle }), { code: 'KeyNotFound' })
  await assert.rejects(other.call('key-delete', { handle: publicKey.handle }), { code: 'PermissionDenied' })
})

test('keys are found by attributes, page by page, in order of handle', async () => {
  const connection = await alice()
  for (let i = 0; i < 5; i++) {
    await connection.call('key-generate-aes', { lengthBytes: 16, attributes: { label: 'page', id: '0xAB' }, ...once })
  }
  const filter = { attributes: { label: 'page', class: 'secret-key', 'key-length-bytes': 16, id: '0xab' } }
  const all = await connection.call('key-find', { filter })
  const handles = all.keys.map(({ handle }) => handle)
  assert.equal(all.total, 5)
  assert.deepEqual(handles, [...handles].sort())
  const page = await connection.call('key-find', { filter, offset: 2, limit: 2 })
  assert.deepEqual([page.total, page.keys.map(({ handle }) => handle)], [5, handles.slice(2, 4)])
  await assert.rejects(connection.call('key-find', { filter: { attributes: { colour: 'red' } } }), {
    code: 'InvalidRequest',
  })
})

test('a session key dies with its connection, a token key does not', async () => {
  const connection = await alice()
  const session = await connection.call('key-generate-aes', { lengthBytes: 16, attributes: { token: false } })
  const token = await connection.call('key-generate-aes', { lengthBytes: 16, attributes: {}, ...once })
  assert.deepEqual([session.key.coverage, token.key.coverage], ['session', 'full'])
  await connection.close()
  const later = await alice()
  const count = async (handle: string) => (await later.call('key-find', { filter: { handle, attributes: {} } })).total
  while ((await count(session.key.handle)) > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(await count(token.key.handle), 1)
})

test('a connection that is cut, without a logout, loses its quorum tokens; those of others stay', async () => {
  const [cut, witness] = [await admin(), await admin()]
  const user = await alice()
  await user.call('quorum-token-generate', { service: 'registration' })
  const { record } = await cut.call('quorum-token-generate', { service: 'registration' })
  const holders = async () =>
    (await witness.call('quorum-token-list', {})).tokens.map(({ username }) => username).sort()
  assert.deepEqual(await holders(), ['admin', 'alice'])
  await cut.close()
  while ((await holders()).includes('admin')) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.deepEqual(await holders(), ['alice'])
  // The same user on a connection of another login has not inherited it.
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const signature = sign('sha256', record, privateKey)
  await assert.rejects((await admin()).call('user-register-quorum-key', { record, publicKey: spki, signature }), {
    code: 'QuorumFailed',
  })
  await user.call('logout', {})
})

test('with the key-availability check one HSM alone neither makes nor uses a token key', async () => {
  const connection = await alice()
  const text = 'Cannot perform the requested key operation as the key must be available on at least 2 HSMs'
  await assert.rejects(connection.call('key-generate-aes', { lengthBytes: 16, attributes: { label: 'two' } }), {
    code: 'NotEnoughCopies',
    message: text,
  })
  assert.equal((await connection.call('key-find', { filter: { attributes: { label: 'two' } } })).total, 0)
  const attributes = { encrypt: true }
  const { key } = await connection.call('key-generate-aes', { lengthBytes: 16, attributes, ...once })
  await assert.rejects(
    connection.call('encrypt', { handle: key.handle, mechanism: { name: 'aes-gcm' }, data: Buffer.from('x') }),
    { code: 'NotEnoughCopies', message: text },
  )
})

test('an owner of keys cannot be deleted, nor the last admin; a deleted user is out at once', async () => {
  const officer = await admin()
  await assert.rejects(officer.call('user-delete', { username: 'alice', role: 'crypto-user' }), {
    code: 'PermissionDenied',
    message: /owns keys/,
  })
  await assert.rejects(officer.call('user-delete', { username: 'admin', role: 'admin' }), {
    code: 'PermissionDenied',
    message: /last admin/,
  })
  await officer.call('user-create', { username: 'carol', role: 'crypto-user', password: 'carol-secret-1' })
  const carol = await loggedIn('carol', 'crypto-user', 'carol-secret-1')
  await officer.call('user-delete', { username: 'carol', role: 'crypto-user' })
  await assert.rejects(carol.call('random', { length: 1 }), { code: 'NotAuthenticated' })
  await assert.rejects(officer.call('user-delete', { username: 'carol', role: 'crypto-user' }), {
    code: 'UserNotFound',
  })
})

test('six wrong passwords lock an account, also over a restart, until an admin changes the password', async () => {
  const officer = await admin()
  await officer.call('user-create', { username: 'dave', role: 'crypto-user', password: 'dave-secret-1' })
  const guess = async (password: string) => {
    const connection = await connected()
    return connection.call('login', { username: 'dave', role: 'crypto-user', password })
  }
  for (let i = 0; i < 6; i++) await assert.rejects(guess('wrong-guess'), { code: 'LoginFailed' })
  await assert.rejects(guess('dave-secret-1'), { code: 'UserLocked' })
  await cluster.first.stop('SIGKILL')
  await cluster.first.start()
  await assert.rejects(guess('dave-secret-1'), { code: 'UserLocked' })
  const again = await admin()
  const { users } = await again.call('user-list', {})
  assert.equal(users.find(({ username }) => username === 'dave')?.locked, true)
  await again.call('user-change-password', { username: 'dave', role: 'crypto-user', password: 'dave-secret-2' })
  await guess('dave-secret-2')
})

test('a killed HSM has lost nothing that it acknowledged', async () => {
  const connection = await alice()
  const acknowledged: string[] = []
  const writer = async () => {
    for (;;) {
      const { key } = await connection.call('key-generate-aes', { lengthBytes: 32, attributes: {}, ...once })
      acknowledged.push(key.handle)
    }
  }
  const writers = Promise.allSettled(Array.from({ length: 10 }, writer))
  while (acknowledged.length < 50) await new Promise((resolve) => setTimeout(resolve, 5))
  await cluster.first.stop('SIGKILL')
  await writers
  await cluster.first.start()
  const later = await alice()
  for (const handle of acknowledged) {
    assert.equal((await later.call('key-find', { filter: { handle, attributes: {} } })).total, 1)
  }
})

test('the control plane is told which clients logged in, also by an HSM that was killed; a greeting alone does not count', async () => {
  const greeting = await connected()
  await greeting.call('hello', { client: 'stranger/0.0.1', protocol: 1 })
  await cluster.first.stop('SIGKILL')
  await cluster.first.start()
  const management = await cluster.first.management()
  const { clients = [] } = await management.call('health', {})
  await management.close()
  assert.deepEqual(
    clients.map(({ client }) => client),
    ['test'],
  )
  assert.ok(Math.abs(Date.now() - (clients[0]?.seenAt ?? 0)) < 3_600_000)
})

test('no password and no key is in the files of the HSM or in its log', async () => {
  const connection = await alice()
  const attributes = { label: 'findme', sign: true } as const
  const { privateKey } = await connection.call('key-generate-ec', {
    curve: 'prime256v1',
    publicAttributes: {},
    privateAttributes: attributes,
    ...once,
  })
  const point = Buffer.from((privateKey.attributes['ec-point'] ?? '0x').slice(2), 'hex')
  const secrets = ['admin-secret-1', 'alice-secret-1', 'dave-secret-2', 'findme', point.subarray(1, 20)]
  const files = await readdir(cluster.first.directory, { recursive: true, withFileTypes: true })
  const contents = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))),
  )
  for (const secret of secrets) {
    assert.ok(contents.every((content) => !content.includes(secret)))
    assert.equal(cluster.first.output.includes(secret.toString()), false)
  }
})

test('SIGTERM finishes what is under way and ends the process in order', async () => {
  const connection = await alice()
  const slow = connection.call('key-generate-rsa', {
    modulusBits: 3072,
    publicExponent: 65537,
    publicAttributes: {},
    privateAttributes: {},
    ...once,
  })
  await connection.call('random', { length: 1 })
  assert.equal(await cluster.first.stop(), 0)
  const { privateKey } = await slow
  assert.equal((await readdir(cluster.first.directory)).includes('running.json'), false)
  await cluster.first.start()
  const later = await alice()
  const { handle } = privateKey
  assert.equal((await later.call('key-find', { filter: { handle, attributes: {} } })).total, 1)
})
