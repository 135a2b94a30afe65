/** What each operation of the client port leaves in the audit log: every row, each operation done and read back. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, privateEncrypt, sign, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { startInProcess } from '../client-port/testing/in-process.ts'
import type { ParamsOf, ResultOf } from '../protocol/envelope.ts'
import { clientOperations, type ClientOperations } from '../protocol/client-operations.ts'
import { customerCa } from '../testing/pki.ts'
import { readLine } from '../../../audit-log/chain.ts'
import { CLIENT_EVENTS } from './client-events.ts'
import { MANAGEMENT_EVENTS } from './management-events.ts'
import { OPCODES, type Opcode } from './opcodes.ts'
import { auditedHsm } from './testing/audited-hsm.ts'

type Operation = keyof ClientOperations

/** As AWS's log names it (or ours, from 0x8000 on); each of several must be seen. */
const EXPECTED: Readonly<Record<Operation, 'not recorded' | readonly string[]>> = {
  hello: 'not recorded',
  activate: ['CN_CHANGE_PSWD (0x9)'],
  login: ['CN_LOGIN (0xd)'],
  logout: ['CN_LOGOUT (0xe)'],
  'hsm-info': 'not recorded',
  'user-list': 'not recorded',
  'user-create': ['CN_CREATE_USER (0x3)', 'CN_CREATE_CO (0x4)'],
  'user-delete': ['CN_DELETE_USER (0xa1)'],
  'user-change-password': ['CN_CHANGE_PSWD (0x9)'],
  'user-change-mfa': ['SR_CHANGE_MFA (0x8101)'],
  'user-register-quorum-key': ['SR_REGISTER_QUORUM_KEY (0x8102)'],
  'mfa-token-generate': 'not recorded',
  'quorum-list-values': 'not recorded',
  'quorum-set-value': ['CN_SET_M_VALUE (0x8003)'],
  'quorum-token-generate': ['CN_GET_TOKEN (0x8006)'],
  'quorum-approve': ['CN_APPROVE_TOKEN (0x8004)'],
  'quorum-token-list': 'not recorded',
  'quorum-token-delete': ['CN_DELETE_TOKEN (0x8005)'],
  'quorum-token-drop': ['CN_DELETE_TOKEN (0x8005)'],
  'mtls-register-trust-anchor': ['SR_MTLS_REGISTER_TRUST_ANCHOR (0x8103)'],
  'mtls-deregister-trust-anchor': ['SR_MTLS_DEREGISTER_TRUST_ANCHOR (0x8104)'],
  'mtls-list-trust-anchors': 'not recorded',
  'mtls-get-enforcement': 'not recorded',
  'mtls-set-enforcement': ['SR_MTLS_SET_ENFORCEMENT (0x8105)'],
  'key-generate-aes': ['CN_GENERATE_KEY (0x17)'],
  'key-generate-des3': ['CN_GENERATE_KEY (0x17)'],
  'key-generate-generic-secret': ['CN_GENERATE_KEY (0x17)'],
  'key-generate-rsa': ['CN_GENERATE_KEY_PAIR (0x19)'],
  'key-generate-ec': ['CN_GENERATE_KEY_PAIR (0x19)'],
  'key-generate-ml-dsa': ['CN_GENERATE_KEY_PAIR (0x19)'],
  'key-generate-ml-kem': ['CN_GENERATE_KEY_PAIR (0x19)'],
  'key-encapsulate': ['CN_DERIVE_KEY (0x800a)'],
  'key-decapsulate': ['CN_DERIVE_KEY (0x800a)'],
  'key-import': ['CN_CREATE_OBJECT (0x8007)'],
  'key-unwrap': ['CN_UNWRAP_KEY (0x1b)'],
  'key-derive': ['CN_DERIVE_KEY (0x800a)'],
  'key-wrap': ['CN_WRAP_KEY (0x1a)'],
  'key-value': ['SR_READ_KEY_VALUE (0x8106)'],
  'key-set-attribute': ['CN_MODIFY_OBJECT (0x8008)'],
  'key-share': ['CN_SHARE_OBJECT (0x12)'],
  'key-unshare': ['CN_SHARE_OBJECT (0x12)'],
  'key-find': 'not recorded',
  'key-describe': 'not recorded',
  'key-delete': ['CN_TOMBSTONE_OBJECT (0x8009)', 'CN_DESTROY_OBJECT (0x11)'],
  'key-public': 'not recorded',
  sign: 'not recorded',
  verify: 'not recorded',
  encrypt: 'not recorded',
  decrypt: 'not recorded',
  digest: 'not recorded',
  random: 'not recorded',
  'part-begin': 'not recorded',
  'part-update': 'not recorded',
  'part-finish': 'not recorded',
  'part-cancel': 'not recorded',
}

const once = { requireTwoCopies: false } as const
const PLAIN = ['Log type : MINIMAL_LOG_ENTRY (0)']
const keys = (secret: string, publicKey = '0x0') => [
  'Log type : MGMT_KEY_DETAILS_LOG (1)',
  `Priv/Secret Key Handle : ${BigInt(secret)}`,
  `Public Key Handle : ${BigInt(publicKey)}`,
]
const user = (name: string, type: string) => [
  'Log type : MGMT_USER_DETAILS_LOG (2)',
  `User Name : ${name}`,
  `User Type : ${type}`,
]
const ofOne = ({ key }: { readonly key: { readonly handle: string } }) => keys(key.handle)
const ofPair = (made: ResultOf<ClientOperations, 'key-generate-ec'>) =>
  keys(made.privateKey.handle, made.publicKey.handle)
const CRYPTO_USER = 'CN_CRYPTO_USER (1)'
const OFFICER = 'CN_CRYPTO_OFFICER (2)'

function expectedOf(operation: Operation): readonly string[] {
  const names = EXPECTED[operation]
  return names === 'not recorded' ? [] : names
}

interface Done {
  readonly operation: Operation
  readonly response: string
  readonly by: string | undefined
  readonly says: readonly string[]
}

async function audited(t: TestContext) {
  const files = await auditedHsm(t)
  const hsm = await startInProcess({ mode: 'NON_FIPS', audit: await files.open() })
  const done: Done[] = []
  const as = (username: 'alice' | 'bob' | 'admin') => {
    const session = hsm.as(username)
    return {
      session,
      /** `says`: the lines of the event from its log type on. */
      async call<Op extends Operation>(
        operation: Op,
        params: ParamsOf<ClientOperations, Op>,
        says: readonly string[] | ((result: ResultOf<ClientOperations, Op>) => readonly string[]) = PLAIN,
      ) {
        const result = await session.call(operation, params)
        const lines = typeof says === 'function' ? says(result) : says
        done.push({ operation, response: '0:HSM Return: SUCCESS', by: username, says: lines })
        return result
      },
      async refused<Op extends Operation>(
        operation: Op,
        params: ParamsOf<ClientOperations, Op>,
        code: string,
        response: string,
        says: readonly string[],
      ) {
        await assert.rejects(session.call(operation, params), { code })
        done.push({ operation, response, by: username, says })
      },
    }
  }
  const events = async () =>
    (await files.files()).flatMap(({ text }) =>
      text.split('\n').flatMap((each) => {
        const line = readLine(each)?.line
        return line?.kind === 'event' ? [line] : []
      }),
    )
  return { as, done, events, verify: () => files.verify() }
}
type Actor = ReturnType<Awaited<ReturnType<typeof audited>>['as']>

async function useAll(alice: Actor): Promise<void> {
  const attributes = { label: 'one', encrypt: true, decrypt: true, wrap: true, unwrap: true, derive: true }
  const { key: aes } = await alice.call('key-generate-aes', { lengthBytes: 32, attributes, ...once }, ofOne)
  const { key: open } = await alice.call(
    'key-generate-generic-secret',
    { lengthBytes: 32, attributes: { sensitive: false, extractable: true, derive: true }, defaults: 'pkcs11', ...once },
    ofOne,
  )
  const { key: des } = await alice.call('key-generate-des3', { attributes: { token: false }, ...once }, ofOne)
  const both = { publicAttributes: {}, privateAttributes: {}, ...once }
  await alice.call('key-generate-rsa', { modulusBits: 2048, publicExponent: 65537, ...both }, ofPair)
  await alice.call('key-generate-ml-dsa', { parameterSet: 'ML-DSA-44', ...both }, ofPair)
  const ec = await alice.call(
    'key-generate-ec',
    { curve: 'prime256v1', publicAttributes: { verify: true }, privateAttributes: { sign: true }, ...once },
    ofPair,
  )
  const kem = await alice.call(
    'key-generate-ml-kem',
    { parameterSet: 'ML-KEM-512', publicAttributes: { wrap: true }, privateAttributes: { unwrap: true }, ...once },
    ofPair,
  )
  const session = { type: 'aes', attributes: { token: false }, ...once } as const
  const sealed = await alice.call('key-encapsulate', { handle: kem.publicKey.handle, ...session }, ofOne)
  await alice.call(
    'key-decapsulate',
    { handle: kem.privateKey.handle, ciphertext: sealed.ciphertext, ...session },
    ofOne,
  )
  await alice.call('key-import', { class: 'secret-key', key: Buffer.alloc(16, 7), ...session }, ofOne)
  const { spki } = await alice.call('key-public', { handle: ec.privateKey.handle })
  await alice.call(
    'key-import',
    { class: 'public-key', type: 'ec', key: spki, attributes: { token: false }, ...once },
    ({ key }) => keys('0x0', key.handle),
  )
  const mechanism = { name: 'aes-zero-pad' } as const
  const { wrapped } = await alice.call(
    'key-wrap',
    { handle: open.handle, wrappingHandle: aes.handle, mechanism, ...once },
    keys(open.handle),
  )
  const unwrap = { handle: aes.handle, mechanism, wrapped, class: 'secret-key', type: 'generic-secret' } as const
  await alice.call('key-unwrap', { ...unwrap, attributes: { token: false }, ...once }, ofOne)
  const counter: ParamsOf<ClientOperations, 'key-derive'>['mechanism'] = {
    name: 'sp800-108-counter',
    prf: 'hmac-sha256',
    data: [{ field: 'counter', bits: 32 }],
  }
  await alice.call('key-derive', { handle: open.handle, mechanism: counter, lengthBytes: 32, ...session }, ofOne)
  await alice.call('key-value', { handle: open.handle }, keys(open.handle))
  await alice.call('key-set-attribute', { handle: aes.handle, attributes: { label: 'two' } }, keys(aes.handle))
  await alice.call(
    'key-set-attribute',
    { handle: ec.publicKey.handle, attributes: { label: 'two' } },
    keys('0x0', ec.publicKey.handle),
  )
  await alice.call('key-share', { handle: aes.handle, username: 'bob' }, keys(aes.handle))
  await alice.call('key-unshare', { handle: aes.handle, username: 'bob' }, keys(aes.handle))
  await alice.call('key-find', { filter: {} })
  await alice.call('key-describe', { handles: [aes.handle] })
  const ecdsa = { name: 'ecdsa', hash: 'sha256' } as const
  const data = Buffer.alloc(16, 1)
  const made = await alice.call('sign', { handle: ec.privateKey.handle, mechanism: ecdsa, data, ...once })
  await alice.call('verify', { handle: ec.publicKey.handle, mechanism: ecdsa, data, ...made, ...once })
  const ecb = { handle: aes.handle, mechanism: { name: 'aes-ecb' }, ...once } as const
  const { ciphertext } = await alice.call('encrypt', { ...ecb, data })
  await alice.call('decrypt', { ...ecb, data: ciphertext })
  await alice.call('digest', { hash: 'sha256', data })
  await alice.call('random', { length: 8 })
  const { operation } = await alice.call('part-begin', { use: 'digest', hash: 'sha256' })
  await alice.call('part-update', { operation, data })
  await alice.call('part-finish', { operation })
  await alice.call('part-cancel', await alice.call('part-begin', { use: 'digest', hash: 'sha256' }))
  await alice.call('key-delete', { handle: aes.handle }, keys(aes.handle))
  await alice.call('key-delete', { handle: des.handle }, keys(des.handle))
  const gone = { handle: aes.handle, username: 'bob' }
  await alice.refused('key-share', gone, 'KeyNotFound', '4096:HSM Error: KeyNotFound', keys(aes.handle))
}

/** RSASSA-PKCS1-v1_5 over what is a SHA-256 digest already (RFC 8017 §9.2). */
const signDigest = (key: KeyObject, digest: Uint8Array) =>
  privateEncrypt(key, Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), digest]))

async function manageAll(admin: Actor): Promise<void> {
  await admin.call('hello', { client: 'test', protocol: 1 })
  await admin.call('hsm-info', {})
  await admin.call('user-list', {})
  const activation = user('admin', 'CN_CRYPTO_PRE_OFFICER (6)')
  const again = '4096:HSM Error: AlreadyActivated'
  await admin.refused('activate', { password: 'admin-secret-1' }, 'AlreadyActivated', again, activation)
  const eve = { username: 'eve', role: 'crypto-user' } as const
  await admin.call('user-create', { ...eve, password: 'eve-secret-1' }, user('eve', CRYPTO_USER))
  const ada = { username: 'ada', role: 'admin' } as const
  await admin.call('user-create', { ...ada, password: 'ada-secret-1' }, user('ada', OFFICER))
  await admin.call('user-change-password', { ...eve, password: 'eve-secret-2' }, user('eve', CRYPTO_USER))
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const { token } = await admin.call('mfa-token-generate', eve)
  const registration = { publicKey: spki, signature: signDigest(privateKey, token) }
  await admin.call('user-change-mfa', { ...eve, registration }, user('eve', CRYPTO_USER))
  await admin.call('user-delete', eve, user('eve', CRYPTO_USER))
  const unknown = '4096:HSM Error: UserNotFound'
  await admin.refused('user-delete', eve, 'UserNotFound', unknown, user('eve', CRYPTO_USER))

  const { record } = await admin.call('quorum-token-generate', { service: 'registration' })
  const shown = { record, publicKey: spki, signature: sign('sha256', record, privateKey) }
  await admin.call('user-register-quorum-key', shown)
  await admin.call('quorum-list-values', {})
  await admin.call('quorum-set-value', { service: 'user', value: 1 })
  const { record: approvalData } = await admin.call('quorum-token-generate', { service: 'user' })
  const signature = sign('sha256', approvalData, privateKey)
  await admin.call('quorum-approve', { approvalData, signatures: [{ username: 'admin', role: 'admin', signature }] })
  await admin.call('quorum-token-list', {})
  await admin.call('quorum-token-drop', { record: approvalData })
  await admin.call('quorum-token-delete', { scope: 'all' })

  await admin.call('mtls-register-trust-anchor', { certificate: customerCa('clients').certificate })
  await admin.call('mtls-list-trust-anchors', {})
  await admin.call('mtls-get-enforcement', {})
  const denied = '4096:HSM Error: PermissionDenied'
  await admin.refused('mtls-set-enforcement', { level: 'cluster' }, 'PermissionDenied', denied, PLAIN)
  await admin.call('mtls-deregister-trust-anchor', { reference: 1 })
  await admin.call('logout', {}, user('admin', OFFICER))
}

test('each operation is named by the log as expected or not at all, and none is left out', () => {
  assert.deepEqual(Object.keys(EXPECTED).toSorted(), Object.keys(clientOperations).toSorted())
  assert.deepEqual(Object.keys(CLIENT_EVENTS).toSorted(), Object.keys(clientOperations).toSorted())
  const silent = (table: Readonly<Record<string, unknown>>) =>
    Object.keys(table)
      .filter((name) => table[name] === 'not recorded')
      .toSorted()
  assert.deepEqual(silent(CLIENT_EVENTS), silent(EXPECTED))
})

/** Of the control plane's operations, in their order. */
const EXPECTED_OF_MANAGEMENT: Readonly<Record<keyof typeof MANAGEMENT_EVENTS, readonly Opcode[]>> = {
  health: [],
  inventory: [],
  found: ['CN_INIT_TOKEN', 'CN_GEN_PSWD_ENC_KEY', 'CN_CREATE_APPLIANCE_USER', 'CN_INIT_DONE'],
  'install-certificate': ['CN_CERT_AUTH_STORE_CERT'],
  membership: [],
  join: ['CN_RESTORE_BEGIN', 'CN_RESTORE_END'],
  'backup-begin': ['CN_BACKUP_BEGIN', 'CN_BACKUP_END'],
  'backup-read': [],
  'backup-end': [],
  'restore-begin': [],
  'restore-write': [],
  'restore-commit': ['CN_RESTORE_BEGIN', 'CN_RESTORE_END'],
  drain: [],
  resume: [],
  zeroise: ['CN_ZEROIZE'],
}

test("the control plane's operations are named by the log as expected or not at all", () => {
  const named = Object.entries(MANAGEMENT_EVENTS).map(([operation, row]) => [
    operation,
    row === 'not recorded' ? [] : [...(row.before ?? []), ...row.after],
  ])
  assert.deepEqual(Object.fromEntries(named), EXPECTED_OF_MANAGEMENT)
})

test('the opcodes that nothing is recorded as are those that docs/differences.md says never appear', () => {
  const ofClients = Object.keys(EXPECTED).flatMap((operation) => expectedOf(operation as Operation))
  const recorded = new Set<string>([
    ...ofClients.map((name) => name.replace(/ .*/, '')),
    ...Object.values(EXPECTED_OF_MANAGEMENT).flat(),
    // The end of a connection, and what other HSMs say.
    'CN_CLOSE_SESSION',
    'SR_PEER_CHANGE',
    'SR_PEER_HEAD',
  ])
  const never = Object.keys(OPCODES).filter((name) => !recorded.has(name))
  const page = readFileSync(new URL('../../../docs/differences.md', import.meta.url), 'utf8')
  const [said = ''] = /opcodes never appear:[^]*?\n- /.exec(page) ?? []
  const names = [...said.matchAll(/`(CN_[A-Z0-9_]+)`/g)].map(([, name]) => name)
  for (const name of never) assert.ok(names.includes(name), `${name} is not named in docs/differences.md`)
  assert.equal(never.length, 6)
})

test('every operation, done, leaves the event that its row says, with whom and what it was about, or none', async (t) => {
  const { as, done, events, verify } = await audited(t)
  await useAll(as('alice'))
  const admin = as('admin')
  await manageAll(admin)
  const bob = { username: 'bob', role: 'crypto-user' } as const
  await assert.rejects(admin.session.call('login', { ...bob, password: 'wrong-1' }), { code: 'LoginFailed' })
  const failed = '163:HSM Error: RET_USER_LOGIN_FAILURE'
  done.push({ operation: 'login', response: failed, by: undefined, says: user('bob', CRYPTO_USER) })
  await admin.session.call('login', { ...bob, password: 'not-used-1' })
  const success = '0:HSM Return: SUCCESS'
  done.push({ operation: 'login', response: success, by: undefined, says: user('bob', CRYPTO_USER) })

  const performed = new Set(done.map(({ operation }) => operation))
  assert.deepEqual([...performed].toSorted(), Object.keys(clientOperations).toSorted(), 'not all were done')
  const recorded = done.filter(({ operation }) => EXPECTED[operation] !== 'not recorded')
  const seen = await events()
  assert.deepEqual(
    seen.map(({ operation }) => operation),
    recorded.map(({ operation }) => operation),
  )
  const opcodes = new Map<Operation, Set<string>>()
  for (const [i, { operation, response, by, says }] of recorded.entries()) {
    const event = seen[i]
    assert.ok(event)
    const lines = event.message.split('\n')
    const named = lines[4]?.replace(/^Opcode : /, '') ?? ''
    opcodes.set(operation, (opcodes.get(operation) ?? new Set()).add(named))
    assert.equal(lines[2], 'Reboot counter : 0x1')
    assert.equal(lines[1], `Sequence No : 0x${i.toString(16)}`)
    assert.equal(lines[3], 'Command Type(hex) : CN_MGMT_CMD (0x0)')
    assert.match(lines[5] ?? '', /^Session Handle : 0x[12]$/)
    assert.equal(lines[6], `Response : ${response}`, operation)
    assert.deepEqual(lines.slice(7), says, operation)
    assert.equal(event.by, by, operation)
    assert.equal(event.from, '127.0.0.1')
  }
  for (const [operation, names] of opcodes) {
    assert.deepEqual([...names].toSorted(), expectedOf(operation).toSorted(), operation)
  }
  assert.deepEqual((await verify()).findings, [])
})
