/** The commands for keys that exist, with their flags, against a real HSM process. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import { startCluster, type TestCluster } from '../../workers/hsm/testing/process.ts'
import { createClient, type Client } from '../sdk/client.ts'
import { runLine } from './testing/run-line.ts'

const home = mkdtempSync(join(tmpdir(), 'strongroom-keys-'))
const path = (name: string) => join(home, name)
let cluster: TestCluster
let alice: Client
let bob: Client
let admin: Client

async function connect(username: string, role: 'admin' | 'crypto-user'): Promise<Client> {
  const { config } = cluster.first
  const client = await createClient({
    servers: [{ hostname: config.address, port: config.ports.client }],
    ca: cluster.customer.certificate,
    requireTwoCopies: false,
  })
  if (role === 'admin') await client.activate('a-password-1')
  await client.login({ username, role, password: 'a-password-1' })
  return client
}

const run = (line: string, client: Client = alice) => runLine(line, client)

before(async () => {
  cluster = await startCluster()
  admin = await connect('admin', 'admin')
  for (const username of ['alice', 'bob']) {
    await admin.users.create({ username, role: 'crypto-user', password: 'a-password-1' })
  }
  alice = await connect('alice', 'crypto-user')
  bob = await connect('bob', 'crypto-user')
})
after(async () => {
  await Promise.all([alice, bob, admin].map((client) => client.close()))
  await cluster.first.dispose()
  rmSync(home, { recursive: true, force: true })
})

const key = z.strictObject({
  'key-reference': z.string(),
  'key-info': z.looseObject({ 'shared-users': z.array(z.looseObject({ username: z.string() })) }),
  attributes: z.record(z.string(), z.unknown()),
})
const made = z.strictObject({ key })
const listed = z.looseObject({ matched_keys: z.array(key) })

async function see(label: string, client?: Client) {
  const { matched_keys: keys } = listed.parse(await run(`key list --verbose --filter attr.label=${label}`, client))
  return keys[0]
}

test('a key is made shared and with quorum values, shared no longer, and shared again', async () => {
  const aes = 'key generate-symmetric aes --label shared --key-length-bytes 32 --share-crypto-users bob'
  const { key: aesKey } = made.parse(await run(`${aes} --use-key-quorum-value 1 --manage-key-quorum-value 1`))
  assert.deepEqual(aesKey['key-info']['key-quorum-values'], {
    'manage-key-quorum-value': 1,
    'use-key-quorum-value': 1,
  })
  assert.equal((await see('shared', bob))?.['key-reference'], aesKey['key-reference'])
  await assert.rejects(run(`${aes} --use-key-quorum-value 3`), { message: 'Invalid quorum value provided.' })
  const who = '--username bob --role crypto-user --filter attr.label=shared'
  assert.deepEqual(await run(`key unshare ${who}`), { message: 'Key unshared successfully' })
  assert.equal(await see('shared', bob), undefined)
  assert.deepEqual(await run(`key share ${who}`), { message: 'Key shared successfully' })
  assert.deepEqual((await see('shared'))?.['key-info']['shared-users'], [{ username: 'bob', 'key-coverage': 'full' }])
  await assert.rejects(run('key share --username eve --role crypto-user --filter attr.label=shared'), {
    code: 'UserNotFound',
  })
})

test('attributes are set: flags, texts, templates; trusted by the admin alone', async () => {
  await run('key generate-symmetric aes --label attrs --key-length-bytes 32 --attributes wrap=true unwrap=true')
  const set = (name: string, value: string, client?: Client) =>
    run(`key set-attribute --filter attr.label=attrs --name ${name} --value ${value}`, client)
  for (const [name, value, client] of [
    ['extractable', 'false', alice],
    ['id', '0xAB', alice],
    ['wrap-template', 'class=secret-key,encrypt=true', alice],
    ['unwrap-template', '""', alice],
    ['trusted', 'true', admin],
  ] as const) {
    assert.deepEqual(await set(name, value, client), { message: 'Attribute set successfully' })
  }
  const attributes = (await see('attrs'))?.attributes
  assert.deepEqual([attributes?.extractable, attributes?.id, attributes?.trusted], [false, '0xab', true])
  await assert.rejects(set('trusted', 'false'), { code: 'PermissionDenied' })
  await assert.rejects(set('label', 'x', admin), { code: 'PermissionDenied' })
  await assert.rejects(set('extractable', 'true'), { code: 'InvalidRequest' })
  await assert.rejects(set('encrypt', 'maybe'), /true or false/)
  for (const fixed of ['private', 'local']) await assert.rejects(set(fixed, 'false'), /Allowed choices are/)
  await assert.rejects(set('wrap-template', 'colour=red'), /colour/)
})

test('public keys are imported from PEM files, private keys are not', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  writeFileSync(path('ec.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
  writeFileSync(path('private.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const answer = await run(
    `key import pem --path ${path('ec.pem')} --label imported --key-type-class ec-public --attributes verify=true`,
  )
  const { key: imported, message } = z.strictObject({ key, message: z.string() }).parse(answer)
  assert.equal(message, 'Successfully imported key')
  const { class: keyClass, verify, local } = imported.attributes
  assert.deepEqual([keyClass, verify, local], ['public-key', true, false])
  await assert.rejects(
    run(`key import pem --path ${path('private.pem')} --label x --key-type-class ec-public`),
    /no public key/,
  )
  await assert.rejects(run(`key import pem --path ${path('ec.pem')} --label x --key-type-class rsa-public`), {
    code: 'InvalidRequest',
  })
})

const byAes = '--wrapping-filter attr.label=wrapping-aes'
const mgf = '--hash-function sha256 --mgf mgf1-sha256'
for (const [mechanism, flags, unwrapping] of [
  ['aes-gcm', '--tag-length-bits 128 --aad 0102', 'wrapping-aes'],
  ['aes-no-pad', '', 'wrapping-aes'],
  ['aes-pkcs5-pad', '', 'wrapping-aes'],
  ['aes-zero-pad', '', 'wrapping-aes'],
  ['cloudhsm-aes-gcm', '--tag-length-bits 64', 'wrapping-aes'],
  ['rsa-oaep', mgf, 'wrapping-private'],
  ['rsa-aes', mgf, 'wrapping-private'],
] as const) {
  test(`a key leaves by ${mechanism} and comes back`, async () => {
    if (!(await see('wrapping-aes'))) {
      await run(
        'key generate-symmetric aes --label wrapping-aes --key-length-bytes 32 --attributes wrap=true unwrap=true',
      )
      await run('key generate-symmetric aes --label payload --key-length-bytes 16')
      await run(
        'key generate-asymmetric-pair rsa --public-label wrapping-public --private-label wrapping-private ' +
          '--modulus-size-bits 2048 --public-exponent 65537 --public-attributes wrap=true --private-attributes unwrap=true',
      )
    }
    const wrapping = unwrapping === 'wrapping-aes' ? byAes : '--wrapping-filter attr.label=wrapping-public'
    const wrap = `key wrap ${mechanism} --payload-filter attr.label=payload ${wrapping} ${flags}`
    const shape = z.strictObject({
      payload_key_reference: z.string(),
      wrapping_key_reference: z.string(),
      iv: z.string().optional(),
      wrapped_key_data: z.base64().optional(),
    })
    const payload = await see('payload')
    const printed = shape.parse(await run(wrap))
    assert.equal(printed.payload_key_reference, payload?.['key-reference'])
    assert.equal(printed.iv !== undefined, mechanism === 'aes-gcm')
    const toFile = shape.parse(await run(`${wrap} --path ${path('wrapped')}`))
    assert.equal(toFile.wrapped_key_data, undefined)

    const unwrap = `key unwrap ${mechanism} --filter attr.label=${unwrapping} --key-type-class aes ${flags}`
    const iv = (from: { iv?: string | undefined }) => (from.iv === undefined ? '' : ` --iv ${from.iv}`)
    const back = [
      `${unwrap} --label back --data ${printed.wrapped_key_data ?? ''}${iv(printed)}`,
      `${unwrap} --label back --session --data-path ${path('wrapped')}${iv(toFile)} --attributes encrypt=true`,
    ]
    for (const line of back) {
      const { key: unwrapped } = made.parse(await run(line))
      assert.equal(unwrapped.attributes['check-value'], payload?.attributes['check-value'])
      assert.equal(unwrapped.attributes.local, false)
      assert.equal(unwrapped.attributes.token, !line.includes('--session'))
    }
    await assert.rejects(run(`${unwrap} --label x --data AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA${iv(printed)}`))
  })
}

test('a private key made elsewhere comes in wrapped, as at AWS', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const own = await alice.keys.import({
    class: 'secret-key',
    type: 'aes',
    key: new Uint8Array(32).fill(7),
    attributes: { label: 'known', wrap: true, unwrap: true },
  })
  const imported = await alice.keys.import({
    class: 'private-key',
    type: 'ec',
    key: Uint8Array.from(privateKey.export({ type: 'pkcs8', format: 'der' })),
    attributes: { label: 'ec-private' },
  })
  await run(
    `key wrap aes-zero-pad --payload-filter key-reference=${imported.handle} ` +
      `--wrapping-filter key-reference=${own.handle} --path ${path('ec.wrapped')}`,
  )
  assert.ok(statSync(path('ec.wrapped')).size > 100)
  const { key: back } = made.parse(
    await run(
      `key unwrap aes-zero-pad --filter key-reference=${own.handle} --key-type-class ec-private --label back-ec ` +
        `--data-path ${path('ec.wrapped')} --attributes sign=true --share-crypto-users bob`,
    ),
  )
  assert.equal(back.attributes['ec-point'], imported.attributes['ec-point'])
  assert.deepEqual(
    back['key-info']['shared-users'].map(({ username }) => username),
    ['bob'],
  )
})
