/**
 * Another client, written from docs/protocol.md alone: nothing of it comes from this project. It has a msgpack of its own,
 * since the page promises that any will do.
 */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync, privateEncrypt, sign, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { startCluster, type TestCluster } from '../testing/process.ts'
import { PAGE } from './file.ts'

type Value = null | boolean | number | string | Buffer | Value[] | { [name: string]: Value }

/** msgpack, as much as a request needs: https://github.com/msgpack/msgpack/blob/master/spec.md */
function pack(value: Value): Buffer {
  if (value === null) return Buffer.from([0xc0])
  if (typeof value === 'boolean') return Buffer.from([value ? 0xc3 : 0xc2])
  if (typeof value === 'number') return sized(0xce, value)
  if (typeof value === 'string') return Buffer.concat([sized(0xdb, Buffer.byteLength(value)), Buffer.from(value)])
  if (Buffer.isBuffer(value)) return Buffer.concat([sized(0xc6, value.length), value])
  if (Array.isArray(value)) return Buffer.concat([sized(0xdd, value.length), ...value.map(pack)])
  const entries = Object.entries(value)
  return Buffer.concat([sized(0xdf, entries.length), ...entries.flatMap(([name, each]) => [pack(name), pack(each)])])
}

function sized(tag: number, size: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes.writeUInt8(tag)
  bytes.writeUInt32BE(size, 1)
  return bytes
}

function unpack(bytes: Buffer): Value {
  let at = 0
  const uint = (size: number) => bytes.readUIntBE((at += size) - size, size)
  const take = (size: number) => bytes.subarray(at, (at += size))
  const list = (size: number) => Array.from({ length: size }, next)
  const map = (size: number) => Object.fromEntries(Array.from({ length: size }, () => [next() as string, next()]))
  function next(): Value {
    const tag = uint(1)
    if (tag < 0x80) return tag
    if (tag < 0x90) return map(tag & 0x0f)
    if (tag < 0xa0) return list(tag & 0x0f)
    if (tag < 0xc0) return take(tag & 0x1f).toString()
    if (tag === 0xc0) return null
    if (tag === 0xc2 || tag === 0xc3) return tag === 0xc3
    if (tag >= 0xc4 && tag <= 0xc6) return Buffer.from(take(uint(2 ** (tag - 0xc4))))
    if (tag === 0xcb) return take(8).readDoubleBE()
    if (tag >= 0xcc && tag <= 0xce) return uint(2 ** (tag - 0xcc))
    if (tag >= 0xd9 && tag <= 0xdb) return take(uint(2 ** (tag - 0xd9))).toString()
    if (tag === 0xdc || tag === 0xdd) return list(uint(tag === 0xdc ? 2 : 4))
    if (tag === 0xde || tag === 0xdf) return map(uint(tag === 0xde ? 2 : 4))
    assert.fail(`tag ${tag.toString(16)}`)
  }
  return next()
}

type Answer = Record<string, Value>

/** One connection, one request at a time. */
async function otherClient(host: string, port: number, ca: string) {
  const socket = connect({ host, port, ca, minVersion: 'TLSv1.3', checkServerIdentity: () => undefined })
  let received = Buffer.alloc(0)
  let id = 0
  let resolve: (reply: Answer) => void = () => undefined
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 4 && received.length >= 4 + received.readUInt32BE()) {
      const end = 4 + received.readUInt32BE()
      const message = unpack(received.subarray(4, end)) as Answer
      received = received.subarray(end)
      if (message['id'] === id) resolve(message)
    }
  })
  const call = async (op: string, params: Answer): Promise<Answer> => {
    id += 1
    const reply = new Promise<Answer>((done) => (resolve = done))
    const body = pack({ id, op, params })
    const length = Buffer.alloc(4)
    length.writeUInt32BE(body.length)
    socket.write(Buffer.concat([length, body]))
    const message = await reply
    if (message['error'] !== undefined) throw new Error(JSON.stringify(message['error']))
    return message['ok'] as Answer
  }
  await call('hello', { client: 'other', protocol: 1 })
  return { call, end: () => socket.destroy() }
}

let cluster: TestCluster
before(async () => {
  cluster = await startCluster()
})
after(() => cluster.first.dispose())

test('a client that knows nothing but the page activates a cluster, logs in, makes a key, and signs', async () => {
  const { address, ports } = cluster.first.config
  const client = await otherClient(address, ports.client, cluster.customer.certificate)
  await client.call('activate', { password: 'admin-secret-1' })
  await client.call('login', { username: 'admin', role: 'admin', password: 'admin-secret-1' })
  await client.call('user-create', { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' })
  await client.call('logout', {})
  await assert.rejects(client.call('random', { length: 8 }), /NotAuthenticated/)
  await client.call('login', { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' })
  const made = await client.call('key-generate-ec', {
    curve: 'prime256v1',
    publicAttributes: { label: 'pub' },
    privateAttributes: { label: 'app', sign: true },
    requireTwoCopies: false,
  })
  const { handle } = made['privateKey'] as { handle: string }
  const data = Buffer.from('pay 100 EUR')
  const mechanism = { name: 'ecdsa', hash: 'sha256' }
  const { signature } = await client.call('sign', { handle, mechanism, data, requireTwoCopies: false })
  const { spki } = await client.call('key-public', { handle })
  assert.ok(Buffer.isBuffer(spki) && Buffer.isBuffer(signature))
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  assert.ok(verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature))
  client.end()
})

type Caller = Awaited<ReturnType<typeof otherClient>>

/** A user who signs tokens, logged in, with the key registered for approvals. */
async function approver(client: Caller, username: string) {
  await client.call('login', { username, role: 'crypto-user', password: `${username}-secret-1` })
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const { record } = await client.call('quorum-token-generate', { service: 'registration' })
  assert.ok(Buffer.isBuffer(record))
  await client.call('user-register-quorum-key', {
    record,
    publicKey: spki,
    signature: sign('sha256', record, privateKey),
  })
  return { username, spki, privateKey }
}

test('it signs with a key that two users must approve, and logs in with a signed token', async () => {
  const { address, ports, hsmId } = cluster.first.config
  const connected = () => otherClient(address, ports.client, cluster.customer.certificate)
  const [admin, alice, bob] = [await connected(), await connected(), await connected()]
  await admin.call('login', { username: 'admin', role: 'admin', password: 'admin-secret-1' })
  await admin.call('user-create', { username: 'bob', role: 'crypto-user', password: 'bob-secret-1' })
  const signers = [await approver(alice, 'alice'), await approver(bob, 'bob')]
  const made = await alice.call('key-generate-ec', {
    curve: 'prime256v1',
    publicAttributes: {},
    privateAttributes: { sign: true },
    shareWith: ['bob'],
    useQuorum: 2,
    requireTwoCopies: false,
  })
  const { handle } = made['privateKey'] as { handle: string }
  const mechanism = { name: 'ecdsa', hash: 'sha256' }
  const request = { handle, mechanism, data: Buffer.from('pay 100 EUR'), requireTwoCopies: false }
  await assert.rejects(alice.call('sign', request), /QuorumRequired/)

  const { record } = await alice.call('quorum-token-generate', { service: 'key-usage', handle })
  assert.ok(Buffer.isBuffer(record) && record.length === 80)
  assert.deepEqual([record.readUInt16BE(0), record.readUInt16BE(2)], [2, 5])
  assert.equal(record.readUInt32BE(4), createHash('sha256').update(hsmId).digest().readUInt32BE())
  assert.equal(record.readBigUInt64BE(8), BigInt(handle))
  assert.equal(record.toString('utf8', 32, 64).replace(/\0+$/, ''), 'alice')
  const signatures = signers.map(({ username, privateKey }) => ({
    username,
    role: 'crypto-user',
    signature: sign('sha256', record, privateKey),
  }))
  const approved = await alice.call('quorum-approve', { approvalData: record, signatures })
  assert.deepEqual(approved, { approvals: 2, spendable: true })
  const { signature } = await alice.call('sign', request)
  assert.ok(Buffer.isBuffer(signature))
  await assert.rejects(alice.call('sign', request), /QuorumRequired/)

  const [, signer] = signers
  assert.ok(signer)
  const who = { username: 'bob', role: 'crypto-user' }
  const signedToken = async (): Promise<Buffer> => {
    const { token } = await bob.call('mfa-token-generate', who)
    assert.ok(Buffer.isBuffer(token))
    const digestInfo = Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), token])
    return privateEncrypt(signer.privateKey, digestInfo)
  }
  const registration = { publicKey: signer.spki, signature: await signedToken() }
  await bob.call('user-change-mfa', { ...who, registration })
  await bob.call('logout', {})
  const login = { ...who, password: 'bob-secret-1' }
  await assert.rejects(bob.call('login', login), /MfaRequired/)
  await bob.call('login', { ...login, mfaSignature: await signedToken() })
  for (const client of [admin, alice, bob]) client.end()
})

/** What the page shows in hexadecimal in one of its sections. */
function examplesIn(section: string): Buffer[] {
  const page = readFileSync(PAGE, 'utf8')
  const from = page.indexOf(`## ${section}\n`)
  const text = page.slice(from, page.indexOf('\n## ', from))
  return [...text.matchAll(/```\n((?:[0-9a-f]{2}[ \n])+)```/g)].map(([, hex = '']) =>
    Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'),
  )
}

test('the record that the page shows has the layout that it tells, and the token is its digest', () => {
  const [record, token] = examplesIn('What users sign')
  assert.ok(record && token)
  assert.equal(record.length, 80)
  assert.deepEqual([record.readUInt16BE(0), record.readUInt16BE(2), record.readBigUInt64BE(8)], [1, 3, 0n])
  assert.equal(record.toString('utf8', 32, 64).replace(/\0+$/, ''), 'alice')
  assert.deepEqual([record.readBigUInt64BE(64), record.readBigUInt64BE(72)], [1_700_000_000n, 0n])
  assert.deepEqual(token, createHash('sha256').update(record).digest())
})

test('the frames that the page shows are those that an HSM reads and writes', () => {
  const messages = examplesIn('Frames').map((bytes) => {
    assert.equal(bytes.readUInt32BE(), bytes.length - 4)
    return unpack(bytes.subarray(4))
  })
  assert.deepEqual(messages, [
    { id: 0, op: 'hello', params: { client: 'example', protocol: 1 } },
    { id: 1, ok: { bytes: Buffer.from([0xca, 0xfe]) } },
    { id: 7, error: { code: 'NotAuthenticated', message: 'sign needs a login' } },
  ])
})
