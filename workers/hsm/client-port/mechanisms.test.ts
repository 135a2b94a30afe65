/** Mechanisms over the client port of real HSM processes: one in NON_FIPS mode, one of hsm1.medium in FIPS mode. */
import assert from 'node:assert/strict'
import { createCipheriv, createHash, createPublicKey, verify } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Connection } from '../protocol/connection.ts'
import { PART_LIMITS } from '../protocol/client/multi-part.ts'
import { CURVES, HASHES, ML_DSA_PARAMETER_SETS, ML_KEM_PARAMETER_SETS } from '../protocol/mechanisms.ts'
import { activatedCluster, aliceOn } from '../testing/activated.ts'
import type { TestCluster } from '../testing/process.ts'

type Client = Connection<ClientOperations>

const clusters: TestCluster[] = []
let free: Client
let fips1: Client
/** A second login on the cluster in NON_FIPS mode. */
let other: Client

async function started(options: Parameters<typeof activatedCluster>[0]): Promise<TestCluster> {
  const cluster = await activatedCluster(options)
  clusters.push(cluster)
  return cluster
}

before(async () => {
  const [first, second] = await Promise.all([
    started({ mode: 'NON_FIPS' }),
    started({ mode: 'FIPS', hsmType: 'hsm1.medium' }),
  ])
  free = await aliceOn(first)
  other = await aliceOn(first)
  fips1 = await aliceOn(second)
})
after(async () => {
  await Promise.all([free, other, fips1].map((client) => client.close()))
  await Promise.all(clusters.map((cluster) => cluster.first.dispose()))
})

const session = { token: false } as const
const one = { requireTwoCopies: false } as const
const pair = { publicAttributes: session, privateAttributes: { ...session, sign: true }, ...one } as const

test('pairs of every curve and parameter set are made and say what they are', async () => {
  for (const curve of CURVES) {
    const { publicKey, privateKey } = await free.call('key-generate-ec', { curve, ...pair })
    assert.equal(publicKey.attributes.curve, curve)
    assert.equal(publicKey.attributes['check-value'], privateKey.attributes['check-value'])
  }
  for (const [at, parameterSet] of ML_DSA_PARAMETER_SETS.entries()) {
    const { publicKey, privateKey } = await free.call('key-generate-ml-dsa', { parameterSet, ...pair })
    assert.equal(publicKey.attributes['mldsa-algorithm'], parameterSet)
    // FIPS 204 table 2.
    assert.equal(publicKey.attributes['key-length-bytes'], [1312, 1952, 2592][at])
    assert.equal(privateKey.attributes['key-length-bytes'], [2560, 4032, 4896][at])
  }
})

test('secret keys: 3DES has a check value, a generic secret has none and 1 to 800 bytes', async () => {
  const des = await free.call('key-generate-des3', { attributes: session, ...one })
  assert.match(des.key.attributes['check-value'] ?? '', /^0x[0-9a-f]{6}$/)
  for (const lengthBytes of [1, 800]) {
    const { key } = await free.call('key-generate-generic-secret', { lengthBytes, attributes: session, ...one })
    assert.deepEqual([key.attributes['check-value'], key.attributes['key-length-bytes']], [undefined, lengthBytes])
  }
  await assert.rejects(free.call('key-generate-generic-secret', { lengthBytes: 801, attributes: session, ...one }), {
    code: 'InvalidRequest',
  })
})

test('hsm1.medium in FIPS mode makes no 3DES, Ed25519, ML-DSA or ML-KEM keys, and says which rule that is', async () => {
  const refused = async (work: Promise<unknown>, message: RegExp) =>
    assert.rejects(work, { code: 'MechanismInvalid', message })
  await refused(fips1.call('key-generate-des3', { attributes: session, ...one }), /SP 800-131A/)
  await refused(fips1.call('key-generate-ec', { curve: 'ed25519', ...pair }), /NON_FIPS mode/)
  await refused(
    fips1.call('key-generate-ml-dsa', { parameterSet: 'ML-DSA-65', ...pair }),
    /for hsm2m\.medium.*FIPS 204/,
  )
  await refused(fips1.call('key-generate-ml-kem', { parameterSet: 'ML-KEM-768', ...pair }), /beyond AWS.*FIPS 203/)
  const { keys } = await fips1.call('key-find', { filter: {} })
  assert.deepEqual(keys, [])
})

test('digests are those of node:crypto, whole and in parts', async () => {
  const data = Buffer.alloc(100_000, 3)
  for (const hash of HASHES) {
    const expected = createHash(hash).update(data).digest()
    const { digest } = await free.call('digest', { hash, data })
    assert.deepEqual(Buffer.from(digest), expected)
    const { operation } = await free.call('part-begin', { use: 'digest', hash })
    for (let at = 0; at < data.length; at += 33_333) {
      await free.call('part-update', { operation, data: data.subarray(at, at + 33_333) })
    }
    const { output } = await free.call('part-finish', { operation })
    assert.deepEqual(Buffer.from(output), expected)
  }
})

test('signatures of data in parts are those of the whole, and verify in parts', async () => {
  const { publicKey, privateKey } = await free.call('key-generate-ec', {
    curve: 'secp521r1',
    publicAttributes: { ...session, verify: true },
    privateAttributes: { ...session, sign: true },
    ...one,
  })
  const mechanism = { name: 'ecdsa', hash: 'sha512' } as const
  const parts = [Buffer.from('pay '), Buffer.alloc(0), Buffer.from('100 EUR')]
  const run = async (use: 'sign' | 'verify', handle: string, signature?: Uint8Array) => {
    const { operation } = await free.call('part-begin', { use, handle, mechanism, ...one })
    for (const data of parts) await free.call('part-update', { operation, data })
    return free.call('part-finish', { operation, ...(signature && { signature }) })
  }
  const { output: signature } = await run('sign', privateKey.handle)
  const { spki } = await free.call('key-public', { handle: publicKey.handle })
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  assert.ok(verify('sha512', Buffer.concat(parts), { key, dsaEncoding: 'ieee-p1363' }, signature))
  assert.equal((await run('verify', publicKey.handle, signature)).valid, true)
  assert.equal((await run('verify', publicKey.handle, Buffer.alloc(132, 1))).valid, false)
  await assert.rejects(run('sign', publicKey.handle), { code: 'KeyFunctionNotPermitted' })
  await assert.rejects(run('verify', publicKey.handle), { code: 'InvalidRequest' })
})

test('codes and ciphers run over data in parts, each part within the published cap', async () => {
  const { key: secret } = await free.call('key-generate-generic-secret', {
    lengthBytes: 32,
    attributes: session,
    ...one,
  })
  const hmac = { name: 'hmac', hash: 'sha256' } as const
  const data = Buffer.alloc(16_288, 5)
  const { operation } = await free.call('part-begin', { use: 'sign', handle: secret.handle, mechanism: hmac, ...one })
  await free.call('part-update', { operation, data })
  const { output } = await free.call('part-finish', { operation })
  const whole = await free.call('sign', { handle: secret.handle, mechanism: hmac, data, ...one })
  assert.deepEqual(output, whole.signature)
  const tooLong = free.call('sign', { handle: secret.handle, mechanism: hmac, data: Buffer.alloc(16_289), ...one })
  await assert.rejects(tooLong, { code: 'LimitExceeded', message: /hmac-sha256 takes at most 16288 bytes/ })

  const bytes = Buffer.alloc(16, 2)
  const { key: aes } = await free.call('key-import', {
    class: 'secret-key',
    type: 'aes',
    key: Buffer.from(bytes),
    attributes: { ...session, encrypt: true },
    ...one,
  })
  const iv = Buffer.alloc(16, 9)
  const cipher = createCipheriv('aes-128-cbc', bytes, iv)
  const expected = Buffer.concat([cipher.update(data), cipher.final()])
  const begun = await free.call('part-begin', {
    use: 'encrypt',
    handle: aes.handle,
    mechanism: { name: 'aes-cbc-pad', iv },
    ...one,
  })
  const pieces: Uint8Array[] = []
  for (const part of [data.subarray(0, 7), data.subarray(7, 500), data.subarray(500)]) {
    pieces.push((await free.call('part-update', { ...begun, data: part })).output)
  }
  pieces.push((await free.call('part-finish', begun)).output)
  assert.deepEqual(Buffer.concat(pieces), expected)
})

test('operations in parts are of one connection, end with the key and with the login, and are counted', async () => {
  const { key } = await free.call('key-generate-generic-secret', { lengthBytes: 32, attributes: session, ...one })
  const mechanism = { name: 'hmac', hash: 'sha256' } as const
  const data = Buffer.from('x')
  const begun = await free.call('part-begin', { use: 'sign', handle: key.handle, mechanism, ...one })
  await assert.rejects(other.call('part-update', { ...begun, data }), { code: 'WrongState' })
  await free.call('key-delete', { handle: key.handle })
  await assert.rejects(free.call('part-update', { ...begun, data }), { code: 'KeyNotFound' })
  await assert.rejects(free.call('part-finish', begun), { code: 'WrongState' })

  const digest = { use: 'digest', hash: 'sha256' } as const
  for (let n = 0; n < PART_LIMITS.operations; n++) await other.call('part-begin', digest)
  await assert.rejects(other.call('part-begin', digest), { code: 'LimitExceeded' })
  await other.call('logout', {})
  await other.call('login', { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' })
  await other.call('part-begin', digest)
})

test('ML-KEM: what one encapsulates the other decapsulates, for every parameter set', async () => {
  for (const parameterSet of ML_KEM_PARAMETER_SETS) {
    const { publicKey, privateKey } = await free.call('key-generate-ml-kem', {
      parameterSet,
      publicAttributes: { ...session, wrap: true },
      privateAttributes: { ...session, unwrap: true },
      ...one,
    })
    const attributes = { ...session, sensitive: false, extractable: true } as const
    const made = { type: 'generic-secret', attributes, defaults: 'pkcs11', ...one } as const
    const sent = await free.call('key-encapsulate', { handle: publicKey.handle, ...made })
    const received = await free.call('key-decapsulate', {
      handle: privateKey.handle,
      ciphertext: sent.ciphertext,
      ...made,
    })
    const valueOf = async (handle: string) => (await free.call('key-value', { handle })).value
    assert.deepEqual(await valueOf(received.key.handle), await valueOf(sent.key.handle))
    assert.equal(sent.key.attributes.local, false)
    const short = free.call('key-decapsulate', { handle: privateKey.handle, ciphertext: Buffer.alloc(5), ...made })
    await assert.rejects(short, { code: 'InvalidRequest' })
  }
})
