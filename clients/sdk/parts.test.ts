/** Operations in parts, encapsulation and every kind of key, through the client with a real HSM process. */
import assert from 'node:assert/strict'
import { createCipheriv, createHash, createPublicKey, randomBytes, verify } from 'node:crypto'
import { after, before, test } from 'node:test'
import { CURVES, ML_DSA_PARAMETER_SETS, ML_KEM_PARAMETER_SETS } from '../../workers/hsm/protocol/mechanisms.ts'
import { startCluster, type TestCluster } from '../../workers/hsm/testing/process.ts'
import { createClient, type Client } from './client.ts'
import { testCa } from './testing/certificates.ts'
import { startFakeHsm } from './testing/fake-hsm.ts'

const password = 'a-password-1'
const alice = { username: 'alice', role: 'crypto-user', password } as const
const session = { token: false } as const
/** Longer than one request takes: 2 MiB for what is hashed, 16,000 bytes for what is capped. */
const long = randomBytes(2 * 1024 * 1024 + 77)
const capped = randomBytes(50_000)
let cluster: TestCluster
let client: Client

before(async () => {
  cluster = await startCluster({ mode: 'NON_FIPS' })
  const { config } = cluster.first
  client = await createClient({
    servers: [{ hostname: config.address, port: config.ports.client }],
    ca: cluster.customer.certificate,
    requireTwoCopies: false,
    unreachableTimeoutMs: 30_000,
  })
  await client.activate(password)
  await client.login({ username: 'admin', role: 'admin', password })
  await client.users.create(alice)
  await client.logout()
  await client.login(alice)
})
after(async () => {
  await client.close()
  await cluster.first.dispose()
})

test('digests of data in parts of any length', async () => {
  const parts = await client.parts.digest('sha384')
  for (const part of [long, Buffer.alloc(0), capped]) assert.equal((await parts.update(part)).length, 0)
  const expected = createHash('sha384').update(long).update(capped).digest()
  assert.deepEqual(Buffer.from(await parts.finish()), expected)
  await assert.rejects(parts.finish(), { code: 'OperationOver' })
  await assert.rejects(parts.update(capped), { code: 'OperationOver' })
  await parts.cancel()
})

test('signatures over parts are right, and verified over parts', async () => {
  const { publicKey, privateKey } = await client.keys.generateEc({
    curve: 'secp256r1',
    publicAttributes: { ...session, verify: true },
    privateAttributes: { ...session, sign: true },
  })
  const mechanism = { name: 'ecdsa', hash: 'sha256' } as const
  const signing = await client.parts.sign(privateKey.handle, mechanism)
  // Not waited for: the client keeps them in order.
  await Promise.all([signing.update(long), signing.update(capped)])
  const signature = await signing.finish()
  const key = createPublicKey({
    key: Buffer.from(await client.keys.publicKey(publicKey.handle)),
    format: 'der',
    type: 'spki',
  })
  const whole = Buffer.concat([long, capped])
  assert.ok(verify('sha256', whole, { key, dsaEncoding: 'ieee-p1363' }, signature))
  for (const [data, valid] of [
    [whole, true],
    [long, false],
  ] as const) {
    const verifying = await client.parts.verify(publicKey.handle, mechanism)
    await verifying.update(data)
    assert.equal(await verifying.finish(signature), valid)
  }
  await assert.rejects(client.parts.sign(publicKey.handle, mechanism), { code: 'KeyFunctionNotPermitted' })
})

test('a code is made of parts longer than one request takes', async () => {
  const { handle } = await client.keys.generateGenericSecret({ lengthBytes: 32, attributes: { ...session } })
  const mechanism = { name: 'hmac', hash: 'sha256' } as const
  const one = await client.parts.sign(handle, mechanism)
  await one.update(capped)
  const code = await one.finish()
  const other = await client.parts.verify(handle, mechanism)
  for (let at = 0; at < capped.length; at += 9_999) await other.update(capped.subarray(at, at + 9_999))
  assert.equal(await other.finish(code), true)
})

test('ciphers in parts give what OpenSSL gives, and take it back', async () => {
  const bytes = randomBytes(32)
  const { handle } = await client.keys.import({
    class: 'secret-key',
    type: 'aes',
    key: bytes,
    attributes: { ...session, encrypt: true, decrypt: true },
  })
  const iv = randomBytes(16)
  const mechanism = { name: 'aes-cbc-pad', iv } as const
  const openssl = createCipheriv('aes-256-cbc', bytes, iv)
  const expected = Buffer.concat([openssl.update(capped), openssl.final()])
  const through = async (use: 'encrypt' | 'decrypt', data: Buffer) => {
    const parts = await client.parts[use](handle, mechanism)
    return Buffer.concat([
      await parts.update(data.subarray(0, 7)),
      await parts.update(data.subarray(7)),
      await parts.finish(),
    ])
  }
  assert.deepEqual(await through('encrypt', capped), expected)
  assert.deepEqual(await through('decrypt', expected), capped)
})

test('a cancelled operation makes room on its HSM: more are begun than it holds at once', async () => {
  for (let i = 0; i < 70; i++) {
    const parts = await client.parts.digest('sha256')
    await parts.cancel()
    await assert.rejects(parts.finish(), { code: 'OperationOver' })
  }
})

test('keys of every kind are made', async () => {
  const pair = { publicAttributes: session, privateAttributes: session }
  for (const curve of CURVES) {
    const { publicKey } = await client.keys.generateEc({ curve, ...pair })
    assert.equal(publicKey.attributes.curve, curve)
  }
  for (const parameterSet of ML_DSA_PARAMETER_SETS) {
    const { privateKey } = await client.keys.generateMlDsa({ parameterSet, ...pair })
    assert.equal(privateKey.attributes['mldsa-algorithm'], parameterSet)
  }
  const des3 = await client.keys.generateDes3({ attributes: session })
  assert.equal(des3.attributes['key-length-bytes'], 24)
})

for (const parameterSet of ML_KEM_PARAMETER_SETS) {
  test(`both sides of ${parameterSet} have the same key`, async () => {
    const { publicKey, privateKey } = await client.keys.generateMlKem({
      parameterSet,
      publicAttributes: { ...session, wrap: true },
      privateAttributes: { ...session, unwrap: true },
    })
    const attributes = { ...session, encrypt: true, decrypt: true }
    const sent = await client.keys.encapsulate({ handle: publicKey.handle, type: 'aes', attributes })
    const { handle } = privateKey
    const received = await client.keys.decapsulate({ handle, ciphertext: sent.ciphertext, type: 'aes', attributes })
    assert.notEqual(received.handle, sent.key.handle)
    const mechanism = { name: 'aes-ecb' } as const
    const { ciphertext } = await client.encrypt({ handle: sent.key.handle, mechanism, data: Buffer.alloc(16, 7) })
    const plaintext = await client.decrypt({ handle: received.handle, mechanism, data: ciphertext })
    assert.deepEqual(Buffer.from(plaintext), Buffer.alloc(16, 7))
    await assert.rejects(
      client.keys.decapsulate({ handle, ciphertext: sent.ciphertext.subarray(1), type: 'aes', attributes }),
      { code: 'InvalidRequest' },
    )
  })
}

test('an operation in parts dies with its HSM, and another begins when the HSM is back', async () => {
  const parts = await client.parts.digest('sha256')
  await parts.update(capped)
  await cluster.first.stop('SIGKILL')
  await assert.rejects(parts.update(capped), { code: 'OperationLost', message: /cannot move to another HSM/ })
  await assert.rejects(parts.finish(), { code: 'OperationOver' })
  await parts.cancel()
  await cluster.first.start()
  const again = await client.parts.digest('sha256')
  await again.update(capped)
  assert.deepEqual(Buffer.from(await again.finish()), createHash('sha256').update(capped).digest())
})

test('parts go to the HSM that began, never to another, also when that one is lost', async () => {
  const ca = testCa()
  await using one = await startFakeHsm({ certificate: ca.server, hsmId: 'hsm-fake1' })
  await using two = await startFakeHsm({ certificate: ca.server, hsmId: 'hsm-fake2' })
  for (const hsm of [one, two]) {
    hsm.announce([])
    hsm.on('part-begin', () => ({ operation: 3 }))
    hsm.on('part-update', () => ({ output: Buffer.alloc(0) }))
  }
  await using stack = new AsyncDisposableStack()
  const both = await createClient({
    servers: [one, two].map(({ host, port }) => ({ hostname: host, port })),
    ca: ca.certificate,
  })
  stack.defer(() => both.close())
  const parts = await both.parts.digest('sha256')
  const [begun, other] = one.calls.includes('part-begin') ? [one, two] : [two, one]
  for (let i = 0; i < 5; i++) await parts.update(capped)
  await begun.stop()
  await assert.rejects(parts.update(capped), { code: 'OperationLost', message: new RegExp(begun.hsmId) })
  assert.equal(begun.calls.filter((op) => op === 'part-update').length, 5)
  assert.deepEqual(
    other.calls.filter((op) => op.startsWith('part-')),
    [],
  )
  const again = await both.parts.digest('sha256')
  await again.update(capped)
  assert.ok(other.calls.includes('part-begin'))
})
