/** The tools as their users run them, against a real HSM process: from activation to a signature that others verify. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { constants, createHash, createPublicKey, randomBytes, verify } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { z } from 'zod'
import { startCluster, type TestCluster } from '../../workers/hsm/testing/process.ts'
import { toolHome, type ToolOptions } from './testing/tool.ts'

const ADMIN = { CLOUDHSM_ROLE: 'admin', CLOUDHSM_PIN: 'admin:adminpass1' }
const ALICE = { CLOUDHSM_ROLE: 'crypto-user', CLOUDHSM_PIN: 'alice:alicepass1' }
const answer = z.strictObject({ error_code: z.union([z.literal(0), z.literal(1)]), data: z.unknown() })
const keyShape = z.looseObject({ 'key-reference': z.string(), attributes: z.record(z.string(), z.unknown()) })
const pairShape = z.strictObject({ public_key: keyShape, private_key: keyShape })
const signedShape = z.strictObject({ 'key-reference': z.string(), signature: z.base64() })

describe('a cluster of one HSM', () => {
  const tools = toolHome()
  let cluster: TestCluster

  const path = (name: string) => join(tools.home, name)
  /** Runs a command line that succeeds; gives `data`. */
  const ok = async (line: string, env = ALICE, more: ToolOptions = {}) => {
    const { code, stdout, stderr } = await tools.cli(line.split(' '), { env, ...more })
    assert.equal(code, 0, stdout + stderr)
    const { error_code: errorCode, data } = answer.parse(JSON.parse(stdout))
    assert.equal(errorCode, 0)
    return data
  }
  /** Runs a command line that fails; gives the message. */
  const refused = async (line: string, env = ALICE) => {
    const { code, stdout } = await tools.cli(line.split(' '), { env })
    assert.equal(code, 1, stdout)
    return z.string().parse(answer.parse(JSON.parse(stdout)).data)
  }
  const configure = async (...flags: string[]) => {
    const { code, stderr } = await tools.configure(flags)
    assert.equal(code, 0, stderr)
  }

  before(async () => {
    cluster = await startCluster()
    writeFileSync(path('customerCA.crt'), cluster.customer.certificate)
    writeFileSync(path('data.bin'), 'pay 100 EUR')
    const ca = ['--hsm-ca-cert', path('customerCA.crt')]
    await configure('-a', cluster.first.config.address, ...ca, '--disable-key-availability-check')
  })
  after(async () => {
    await cluster.first.dispose()
    tools[Symbol.dispose]()
  })

  test('before activation there is an unactivated admin, and nobody can log in', async () => {
    const { users } = z.object({ users: z.array(z.looseObject({})) }).parse(await ok('user list', undefined))
    assert.deepEqual(users, [
      {
        username: 'admin',
        role: 'unactivated-admin',
        locked: 'false',
        mfa: [],
        quorum: [],
        'cluster-coverage': 'full',
      },
      {
        username: 'app_user',
        role: 'internal(APPLIANCE_USER)',
        locked: 'false',
        mfa: [],
        quorum: [],
        'cluster-coverage': 'full',
      },
    ])
    assert.match(await refused('key list', ADMIN), /activate/i)
  })

  test('activation sets the first admin’s password, once', async () => {
    assert.equal(await ok('cluster activate --password adminpass1'), 'Cluster activation successful')
    assert.match(await refused('cluster activate --password adminpass2'), /activated already|already activated/i)
  })

  test('the admin creates a crypto user, who then is listed', async () => {
    const created = await ok('user create --username Alice --role crypto-user --password alicepass1', ADMIN)
    assert.deepEqual(created, { username: 'alice', role: 'crypto-user' })
    const { users } = z.object({ users: z.array(z.object({ username: z.string() })) }).parse(await ok('user list'))
    assert.deepEqual(users.map(({ username }) => username).sort(), ['admin', 'alice', 'app_user'])
    assert.match(await refused('user create --username alice --role crypto-user --password alicepass1', ADMIN), /alice/)
    assert.notEqual(await refused('user create --username bob --role crypto-user --password bobspass1', ALICE), '')
  })

  test('a wrong password, role or name is refused without saying which', async () => {
    const messages = []
    for (const [role, pin] of [
      ['crypto-user', 'alice:wrongpass1'],
      ['admin', 'alice:alicepass1'],
      ['crypto-user', 'nobody:alicepass1'],
    ] as const) {
      messages.push(await refused('key list', { CLOUDHSM_ROLE: role, CLOUDHSM_PIN: pin }))
    }
    assert.equal(new Set(messages).size, 1, messages.join(' / '))
  })

  test('the HSM says that it is software and which mode it is in', async () => {
    const { hsms } = z.object({ hsms: z.array(z.record(z.string(), z.string())) }).parse(await ok('cluster hsm-info'))
    assert.equal(hsms.length, 1)
    assert.equal(hsms[0]?.['serial-number'], cluster.first.hsmId)
    assert.equal(hsms[0]['fips-state'], '2 [FIPS mode with single factor authentication]')
    assert.match(hsms[0].model ?? '', /Software/)
  })

  test('an RSA pair signs, and openssl verifies with the exported public key', async () => {
    const made = await ok(
      'key generate-asymmetric-pair rsa --public-label pub --private-label app-signing --modulus-size-bits 2048 ' +
        '--public-exponent 65537 --public-attributes verify=true --private-attributes sign=true',
    )
    const { public_key: publicKey, private_key: privateKey } = pairShape.parse(made)
    assert.match(publicKey['key-reference'], /^0x[0-9a-f]{16}$/)
    assert.equal(publicKey.attributes.class, 'public-key')
    assert.equal(privateKey.attributes.sign, true)
    assert.equal(privateKey.attributes['modulus-size-bits'], 2048)
    assert.equal(privateKey.attributes.id, '0x')

    const filter = '--filter attr.label=pub attr.class=public-key'
    const written = await ok(`key generate-file --encoding pem --path ${path('pub.pem')} ${filter}`)
    assert.deepEqual(written, { message: 'Successfully generated key file' })
    const flags = `--key-filter attr.label=app-signing --hash-function sha256 --data-path ${path('data.bin')}`
    const signed = signedShape.parse(await ok(`crypto sign rsa-pkcs ${flags}`))
    assert.equal(signed['key-reference'], privateKey['key-reference'])
    writeFileSync(path('sig'), Buffer.from(signed.signature, 'base64'))
    const dgst = ['dgst', '-sha256', '-verify', path('pub.pem'), '-signature', path('sig'), path('data.bin')]
    assert.match(execFileSync('openssl', dgst, { encoding: 'utf8' }), /Verified OK/)

    const check = `crypto verify rsa-pkcs --key-filter attr.label=pub --hash-function sha256 --signature-path ${path('sig')}`
    assert.deepEqual(await ok(`${check} --data-path ${path('data.bin')}`), {
      message: 'Signature verified successfully',
    })
    const other = Buffer.from('pay 999 EUR').toString('base64')
    assert.equal(await refused(`${check} --data ${other}`), 'Signature verification failed')
  })

  test('PSS and signatures over a digest verify outside', async () => {
    const publicKey = createPublicKey(readFileSync(path('pub.pem')))
    const data = readFileSync(path('data.bin'))
    const digest = createHash('sha384').update(data).digest('base64')
    const flags = '--key-filter attr.label=app-signing --hash-function sha384 --mgf mgf1-sha384 --salt-length 48'
    for (const message of [`--data ${data.toString('base64')}`, `--data ${digest} --data-type digest`]) {
      const { signature } = signedShape.parse(await ok(`crypto sign rsa-pkcs-pss ${flags} ${message}`))
      const key = { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }
      assert.ok(verify('sha384', data, key, Buffer.from(signature, 'base64')))
    }
    assert.notEqual(
      await refused(
        `crypto sign rsa-pkcs-pss --key-filter attr.label=app-signing --hash-function sha256 --mgf mgf1-sha512 ` +
          `--salt-length 32 --data ${digest}`,
      ),
      '',
    )
  })

  test('a file longer than a request is signed as a whole', async () => {
    const data = randomBytes(5_000_000)
    writeFileSync(path('long.bin'), data)
    const flags = `--hash-function sha512 --data-path ${path('long.bin')}`
    const signed = await ok(`crypto sign rsa-pkcs --key-filter attr.label=app-signing ${flags}`)
    const signature = Buffer.from(signedShape.parse(signed).signature, 'base64')
    assert.ok(verify('sha512', data, createPublicKey(readFileSync(path('pub.pem'))), signature))
    writeFileSync(path('long.sig'), signature)
    await ok(`crypto verify rsa-pkcs --key-filter attr.label=pub ${flags} --signature-path ${path('long.sig')}`)
  })

  test('an EC pair signs r||s', async () => {
    await ok(
      'key generate-asymmetric-pair ec --public-label ec-pub --private-label ec-priv --curve secp384r1 ' +
        '--public-attributes verify=true --private-attributes sign=true',
    )
    await ok(`key generate-file --encoding pem --path ${path('ec.pem')} --filter attr.label=ec-pub`)
    const flags = `--key-filter attr.label=ec-priv --hash-function sha384 --data-path ${path('data.bin')}`
    const signature = Buffer.from(signedShape.parse(await ok(`crypto sign ecdsa ${flags}`)).signature, 'base64')
    assert.equal(signature.length, 96)
    const key = { key: createPublicKey(readFileSync(path('ec.pem'))), dsaEncoding: 'ieee-p1363' } as const
    assert.ok(verify('sha384', readFileSync(path('data.bin')), key, signature))
  })

  test('key list pages, filters and shows details on request', async () => {
    for (const label of ['aes-1', 'aes-2', 'aes-3']) {
      await ok(`key generate-symmetric aes --label ${label} --key-length-bytes 32 --attributes id=0x01`)
    }
    const list = z.looseObject({
      matched_keys: z.array(keyShape),
      total_key_count: z.number(),
      returned_key_count: z.number(),
      next_token: z.string().optional(),
    })
    const first = list.parse(await ok('key list --filter attr.key-type=aes attr.id=0x01 --max-items 2'))
    assert.deepEqual([first.total_key_count, first.returned_key_count, first.next_token], [3, 2, '2'])
    assert.deepEqual(Object.keys(first.matched_keys[0]?.attributes ?? {}), ['label'])
    const rest = list.parse(await ok('key list --filter attr.key-type=aes --max-items 2 --starting-token 2 --verbose'))
    assert.deepEqual([rest.total_key_count, rest.returned_key_count, rest.next_token], [3, 1, undefined])
    const labels = [...first.matched_keys, ...rest.matched_keys].map(({ attributes }) => attributes.label)
    assert.deepEqual(labels.sort(), ['aes-1', 'aes-2', 'aes-3'])
    assert.equal(rest.matched_keys[0]?.attributes['key-length-bytes'], 32)
    assert.deepEqual(rest.matched_keys[0]['key-info'], {
      'key-owners': [{ username: 'alice', 'key-coverage': 'full' }],
      'shared-users': [],
      'key-quorum-values': { 'manage-key-quorum-value': 0, 'use-key-quorum-value': 0 },
      'cluster-coverage': 'full',
    })
  })

  test('a key is deleted by reference, and a filter that matches several deletes none', async () => {
    assert.equal(
      await refused('key delete --filter attr.key-type=aes'),
      'Key selection criteria matched 3 keys. Refine selection criteria to select a single key.',
    )
    const { matched_keys: keys } = z
      .looseObject({ matched_keys: z.array(keyShape) })
      .parse(await ok('key list --filter attr.label=aes-1'))
    const reference = BigInt(keys[0]?.['key-reference'] ?? 0).toString()
    assert.deepEqual(await ok(`key delete --filter key-reference=${reference}`), {
      message: 'Key deleted successfully',
    })
    assert.match(await refused(`key delete --filter key-reference=${reference}`), /matched 0 keys/)
  })

  test('session keys live until the end of the command, or of an interactive login', async () => {
    const made = await ok('key generate-symmetric aes --label brief --key-length-bytes 16 --session')
    assert.match(JSON.stringify(made), /"cluster-coverage":"session"/)
    assert.match(JSON.stringify(await ok('key list --filter attr.label=brief')), /"total_key_count":0/)
    const lines = [
      'login --username alice --role crypto-user --password alicepass1',
      'key generate-symmetric aes --label brief --key-length-bytes 16 --session',
      'key list --filter attr.label=brief',
      'quit',
    ]
    const { code, stdout } = await tools.cli(['interactive'], { input: lines.join('\n') })
    assert.equal(code, 0, stdout)
    assert.match(stdout, /"total_key_count": 1/)
  })

  test('with the key-availability check a single HSM makes no key, in the words of AWS', async () => {
    await configure('--enable-key-availability-check')
    assert.match(
      await refused('key generate-symmetric aes --label safe --key-length-bytes 16'),
      /must be available on at least 2 HSMs/,
    )
    await configure('--disable-key-availability-check')
    assert.match(JSON.stringify(await ok('key list --filter attr.label=safe')), /"total_key_count":0/)
  })

  test('passwords change, and users who own nothing can be deleted', async () => {
    await ok('user create --username bob --role crypto-user --password bobspass1', ADMIN)
    await ok('user change-password --username bob --role crypto-user --password bobspass2', {
      CLOUDHSM_ROLE: 'crypto-user',
      CLOUDHSM_PIN: 'bob:bobspass1',
    })
    await ok('key list', { CLOUDHSM_ROLE: 'crypto-user', CLOUDHSM_PIN: 'bob:bobspass2' })
    assert.deepEqual(await ok('user delete --username bob --role crypto-user', ADMIN), {
      username: 'bob',
      role: 'crypto-user',
    })
    assert.notEqual(await refused('user delete --username alice --role crypto-user', ADMIN), '', 'alice owns keys')
  })

  test('login and logout as single commands say who and that', async () => {
    assert.deepEqual(await ok('login --username alice --role crypto-user --password alicepass1'), {
      username: 'alice',
      role: 'crypto-user',
    })
    assert.equal(await ok('logout'), 'Logout successful')
  })

  test('after a restart of the HSM everything is still there', async () => {
    await cluster.first.stop('SIGKILL')
    assert.match(await refused('key list'), /no HSM of the cluster can be reached/)
    await cluster.first.start()
    const flags = `--hash-function sha256 --data-path ${path('data.bin')} --signature-path ${path('sig')}`
    await ok(`crypto verify rsa-pkcs --key-filter attr.label=pub ${flags}`)
  })

  test('no password is in any log', () => {
    const logs = readdirSync(path('run')).map((name) => readFileSync(path(join('run', name)), 'utf8'))
    assert.match(logs.join(''), /command succeeded/)
    assert.doesNotMatch(logs.join('') + cluster.first.output, /adminpass|alicepass|bobspass|wrongpass/)
  })
})
