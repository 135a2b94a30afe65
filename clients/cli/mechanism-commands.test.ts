/** Making and using keys of every kind by command, against a real HSM process in NON_FIPS mode. */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import { CURVES, ML_DSA_PARAMETER_SETS } from '../../workers/hsm/protocol/mechanisms.ts'
import { startCluster, type TestCluster } from '../../workers/hsm/testing/process.ts'
import { createClient, type Client } from '../sdk/client.ts'
import { runLine } from './testing/run-line.ts'

const home = mkdtempSync(join(tmpdir(), 'strongroom-mechanisms-'))
const message = Buffer.from('pay 100 EUR')
const password = 'a-password-1'
let cluster: TestCluster
let alice: Client

const run = (line: string) => runLine(line, alice)

before(async () => {
  cluster = await startCluster({ mode: 'NON_FIPS' })
  const { config } = cluster.first
  const servers = [{ hostname: config.address, port: config.ports.client }]
  alice = await createClient({ servers, ca: cluster.customer.certificate, requireTwoCopies: false })
  await alice.activate(password)
  await alice.login({ username: 'admin', role: 'admin', password })
  for (const username of ['alice', 'bob']) await alice.users.create({ username, role: 'crypto-user', password })
  await alice.logout()
  await alice.login({ username: 'alice', role: 'crypto-user', password })
})
after(async () => {
  await alice.close()
  await cluster.first.dispose()
  rmSync(home, { recursive: true, force: true })
})

const key = z.strictObject({
  'key-reference': z.string(),
  'key-info': z.looseObject({
    'shared-users': z.array(z.looseObject({ username: z.string() })),
    'key-quorum-values': z.unknown(),
  }),
  attributes: z.record(z.string(), z.unknown()),
})
const made = z.strictObject({ key })
const pair = z.strictObject({ public_key: key, private_key: key })
const signed = z.strictObject({ 'key-reference': z.string(), signature: z.base64() })

const usages = '--public-attributes verify=true --private-attributes sign=true'

/** Names of the keys `NAME-public` and `NAME-private`. */
async function makePair(kind: string, name: string, flags: string) {
  const labels = `--public-label ${name}-public --private-label ${name}-private`
  return pair.parse(await run(`key generate-asymmetric-pair ${kind} ${labels} ${usages} ${flags}`))
}

const publicKeyOf = async (handle: string) =>
  createPublicKey({ key: Buffer.from(await alice.keys.publicKey(handle)), format: 'der', type: 'spki' })

test('a generic secret of 1 to 800 bytes is made, without a check value, shared and with quorum values', async () => {
  const secret = 'key generate-symmetric generic-secret --label secret'
  const { key: token } = made.parse(
    await run(`${secret} --key-length-bytes 800 --share-crypto-users bob --manage-key-quorum-value 1`),
  )
  const { attributes } = token
  assert.deepEqual(
    [attributes['key-type'], attributes.class, attributes['key-length-bytes'], attributes.sign, attributes.token],
    ['generic-secret', 'secret-key', 800, true, true],
  )
  assert.ok(!('check-value' in attributes))
  assert.deepEqual(
    token['key-info']['shared-users'].map(({ username }) => username),
    ['bob'],
  )
  assert.deepEqual(token['key-info']['key-quorum-values'], {
    'manage-key-quorum-value': 1,
    'use-key-quorum-value': 0,
  })
  const { key: session } = made.parse(await run(`${secret} --key-length-bytes 1 --session --attributes derive=true`))
  assert.deepEqual(
    [session.attributes['key-length-bytes'], session.attributes.token, session.attributes.derive],
    [1, false, true],
  )
  for (const bytes of ['0', '801', 'x']) {
    await assert.rejects(run(`${secret} --key-length-bytes ${bytes}`), /--key-length-bytes/)
  }
})

test('sizes that no key has are refused with the rule and the standard it is from', async () => {
  const rsa = 'key generate-asymmetric-pair rsa --public-label a --private-label b'
  for (const [command, message] of [
    [`${rsa} --modulus-size-bits 2049 --public-exponent 65537`, /--modulus-size-bits: not 2049: .*FIPS 186-5/],
    [`${rsa} --modulus-size-bits 2048 --public-exponent 3`, /--public-exponent: .*at least 65537.*FIPS 186-5/],
    ['key generate-symmetric generic-secret --label c --key-length-bytes 801', /not 801: .*1 to 800 bytes \(AWS/],
  ] as const) {
    await assert.rejects(run(command), message)
  }
})

for (const curve of CURVES) {
  test(`a key pair on ${curve} is made and signs, and OpenSSL verifies`, async () => {
    const { public_key: publicKey, private_key: privateKey } = await makePair('ec', curve, `--curve ${curve} --session`)
    assert.deepEqual([publicKey.attributes.curve, privateKey.attributes.curve], [curve, curve])
    assert.equal(publicKey.attributes['check-value'], privateKey.attributes['check-value'])
    const mechanism = curve === 'ed25519' ? 'ed25519' : 'ecdsa --hash-function sha512'
    const data = `--data ${message.toString('base64')}`
    const { signature } = signed.parse(
      await run(`crypto sign ${mechanism} --key-filter attr.label=${curve}-private ${data}`),
    )
    const object = await publicKeyOf(publicKey['key-reference'])
    const hash = curve === 'ed25519' ? null : 'sha512'
    assert.ok(verify(hash, message, { key: object, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64')))
    const check = `crypto verify ${mechanism} --key-filter attr.label=${curve}-public --signature ${signature}`
    assert.deepEqual(await run(`${check} ${data}`), { message: 'Signature verified successfully' })
    await assert.rejects(run(`${check} --data AAAA`), { message: 'Signature verification failed' })
  })
}

test('Ed25519ph signs a message and its SHA-512 alike', async () => {
  await makePair('ec', 'ph', '--curve ed25519 --session')
  const digest = createHash('sha512').update(message).digest()
  const mechanism = 'ed25519ph --hash-function sha512'
  const raw = `--data ${message.toString('base64')} --data-type raw`
  const hashed = `--data ${digest.toString('base64')} --data-type digest`
  const sign = `crypto sign ${mechanism} --key-filter attr.label=ph-private`
  const one = signed.parse(await run(`${sign} ${raw}`))
  assert.equal(signed.parse(await run(`${sign} ${hashed}`)).signature, one.signature)
  const check = `crypto verify ${mechanism} --key-filter attr.label=ph-public --signature ${one.signature}`
  for (const data of [raw, hashed]) {
    assert.deepEqual(await run(`${check} ${data}`), { message: 'Signature verified successfully' })
  }
  await assert.rejects(run(`${sign.replace('sha512', 'sha256')} ${raw}`), /sha512/)
})

for (const algorithm of ML_DSA_PARAMETER_SETS) {
  test(`an ${algorithm} pair is made, shared and with quorum values, and signs messages and representatives`, async () => {
    const flags = '--share-crypto-users bob --manage-private-key-quorum-value 1'
    const kind = `--mldsa-algorithm ${algorithm} ${flags}`
    const { public_key: publicKey, private_key: privateKey } = await makePair('ml-dsa', algorithm, kind)
    assert.deepEqual(
      [publicKey, privateKey].map(({ attributes }) => attributes['mldsa-algorithm']),
      [algorithm, algorithm],
    )
    const names = Object.keys(privateKey.attributes)
    assert.equal(names[names.indexOf('private') + 1], 'mldsa-algorithm')
    assert.equal(publicKey.attributes['check-value'], privateKey.attributes['check-value'])
    assert.deepEqual(
      [publicKey, privateKey].map((half) => half['key-info']['shared-users'].map(({ username }) => username)),
      [[], ['bob']],
    )

    writeFileSync(join(home, 'message'), message)
    const sign = `crypto sign ml-dsa --hash-function shake256 --key-filter attr.label=${algorithm}-private`
    const check = `crypto verify ml-dsa --hash-function shake256 --key-filter attr.label=${algorithm}-public`
    const fromFile = `--data-path ${join(home, 'message')}`
    const { signature } = signed.parse(await run(`${sign} ${fromFile}`))
    const object = await publicKeyOf(publicKey['key-reference'])
    assert.ok(verify(null, message, object, Buffer.from(signature, 'base64')))
    writeFileSync(join(home, 'signature'), Buffer.from(signature, 'base64'))
    const given = `--signature-path ${join(home, 'signature')}`
    assert.deepEqual(await run(`${check} ${fromFile} ${given}`), { message: 'Signature verified successfully' })
    await assert.rejects(run(`${check} --data AAAA ${given}`), { message: 'Signature verification failed' })

    // FIPS 204 algorithm 7, line 6: mu = H(H(pk) || 0 || 0 || M), for the empty context.
    const shake = (length: number, ...parts: Buffer[]) =>
      createHash('shake256', { outputLength: length }).update(Buffer.concat(parts)).digest()
    const publicBytes = object
      .export({ type: 'spki', format: 'der' })
      .subarray(-Number(publicKey.attributes['key-length-bytes']))
    const mu = shake(64, shake(64, publicBytes), Buffer.alloc(2), message)
    const external = `--data-type external-mu --data ${mu.toString('base64')}`
    const ofMu = signed.parse(await run(`${sign} ${external}`))
    assert.ok(verify(null, message, object, Buffer.from(ofMu.signature, 'base64')))
    assert.deepEqual(await run(`${check} ${external} ${given}`), { message: 'Signature verified successfully' })
    await assert.rejects(run(`${sign} --data-type external-mu --data AAAA`), /64 bytes/)
  })
}

test('a mechanism is refused for a key of another kind', async () => {
  await makePair('ec', 'p256', '--curve secp256r1 --session')
  const data = `--key-filter attr.label=p256-private --data ${message.toString('base64')}`
  await assert.rejects(run(`crypto sign ed25519 ${data}`), { code: 'MechanismInvalid' })
  await assert.rejects(run(`crypto sign ml-dsa --hash-function shake256 ${data}`))
})
