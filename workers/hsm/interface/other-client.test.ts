/**
 * Another client, written from docs/protocol.md alone: nothing of it comes from this project. It has a msgpack of its own,
 * since the page promises that any will do.
 */
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
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

test('the frames that the page shows are those that an HSM reads and writes', () => {
  const examples = [...readFileSync(PAGE, 'utf8').matchAll(/```\n((?:[0-9a-f]{2}[ \n])+)```/g)]
  const messages = examples.map(([, hex = '']) => {
    const bytes = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')
    assert.equal(bytes.readUInt32BE(), bytes.length - 4)
    return unpack(bytes.subarray(4))
  })
  assert.deepEqual(messages, [
    { id: 0, op: 'hello', params: { client: 'example', protocol: 1 } },
    { id: 1, ok: { bytes: Buffer.from([0xca, 0xfe]) } },
    { id: 7, error: { code: 'NotAuthenticated', message: 'sign needs a login' } },
  ])
})
