/** The audit log of a real HSM process: what it holds of what clients and the control plane did. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCluster, startHsmProcess, type HsmProcess, type TestCluster } from '../testing/process.ts'
import { auditFilesIn } from '../../../audit-log/files.ts'
import { AUDIT_DIRECTORY, auditFileName } from '../../../provider-schema/audit-file.ts'
import { readLine } from '../../../audit-log/chain.ts'
import { verifyAudit } from '../../../audit-log/verify.ts'

let cluster: TestCluster
before(async () => {
  cluster = await startCluster()
})
after(() => cluster.first.dispose())

async function files(hsm = cluster.first) {
  const directory = join(hsm.directory, AUDIT_DIRECTORY)
  return Promise.all(
    (await auditFilesIn(directory)).map(async (file) => ({
      name: auditFileName(file),
      text: await readFile(join(directory, auditFileName(file)), 'utf8'),
    })),
  )
}

interface Seen {
  readonly operation: string
  readonly by: string | undefined
  readonly message: string
  /** By AWS's label. */
  readonly field: (label: string) => string | undefined
}

async function events(hsm = cluster.first): Promise<Seen[]> {
  const { findings } = verifyAudit(await files(hsm), { root: cluster.pki.trust.root })
  assert.deepEqual(findings, [])
  return (await files(hsm)).flatMap(({ text }) =>
    text.split('\n').flatMap((each) => {
      const line = readLine(each)?.line
      if (line?.kind !== 'event') return []
      const { operation, by, message } = line
      const field = (label: string) =>
        new RegExp(`^${label.replace(/[()/]/g, '\\$&')} ?: (.*)$`, 'm').exec(message)?.[1]
      return [{ operation, by, message, field }]
    }),
  )
}
const opcodes = (seen: readonly Seen[]) => seen.map(({ field }) => field('Opcode'))
const fieldOf = (seen: readonly Seen[], event: number, label: string) => seen[event]?.field(label)
const client = () => cluster.first.client(cluster.customer.certificate)
const login = async (username: string, role: 'admin' | 'crypto-user', password: string) => {
  const connection = await client()
  await connection.call('login', { username, role, password })
  return connection
}
const admin = () => login('admin', 'admin', 'admin-secret-1')

test("the first HSM's log begins as at AWS", async () => {
  const seen = await events()
  assert.deepEqual(opcodes(seen), [
    'CN_INIT_TOKEN (0x1)',
    'CN_GEN_PSWD_ENC_KEY (0x1d)',
    'CN_CREATE_APPLIANCE_USER (0xfc)',
    'CN_INIT_DONE (0x95)',
    'CN_CERT_AUTH_STORE_CERT (0x800f)',
  ])
  assert.equal(fieldOf(seen, 2, 'User Name'), 'app_user')
  assert.equal(fieldOf(seen, 2, 'User Type'), 'CN_APPLIANCE_USER (5)')
  assert.equal(fieldOf(seen, 4, 'Command Type(hex)'), 'CN_CERT_AUTH_CMD (0x9)')
  assert.deepEqual(
    seen.map(({ field }) => field('Sequence No')),
    ['0x0', '0x1', '0x2', '0x3', '0x4'],
  )
})

test('a life of users and keys is written down before each reply, and the use of keys is not', async () => {
  const first = await client()
  await first.call('activate', { password: 'admin-secret-1' })
  await first.call('login', { username: 'admin', role: 'admin', password: 'admin-secret-1' })
  await first.call('user-create', { username: 'bob', role: 'admin', password: 'bob-secret-1' })
  await first.call('user-create', { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' })
  await first.call('logout', {})
  await first.close()
  const alice = await login('alice', 'crypto-user', 'alice-secret-1')
  const one = { requireTwoCopies: false } as const
  const { key } = await alice.call('key-generate-aes', { lengthBytes: 32, attributes: { label: 'token' }, ...one })
  const pair = await alice.call('key-generate-ec', {
    curve: 'secp256r1',
    publicAttributes: { token: false },
    privateAttributes: { token: false, sign: true },
    ...one,
  })
  const mechanism = { name: 'ecdsa', hash: 'sha256' } as const
  await alice.call('sign', { handle: pair.privateKey.handle, mechanism, data: Buffer.from('x'), ...one })
  await alice.call('random', { length: 8 })
  await alice.call('key-find', { filter: {} })
  await alice.call('key-delete', { handle: key.handle })
  await alice.call('key-delete', { handle: pair.privateKey.handle })
  const seen = (await events()).slice(5)
  assert.deepEqual(opcodes(seen), [
    'CN_CHANGE_PSWD (0x9)',
    'CN_LOGIN (0xd)',
    'CN_CREATE_CO (0x4)',
    'CN_CREATE_USER (0x3)',
    'CN_LOGOUT (0xe)',
    'CN_LOGIN (0xd)',
    'CN_GENERATE_KEY (0x17)',
    'CN_GENERATE_KEY_PAIR (0x19)',
    'CN_TOMBSTONE_OBJECT (0x8009)',
    'CN_DESTROY_OBJECT (0x11)',
  ])
  assert.equal(fieldOf(seen, 0, 'User Type'), 'CN_CRYPTO_PRE_OFFICER (6)')
  assert.equal(fieldOf(seen, 1, 'User Type'), 'CN_CRYPTO_OFFICER (2)')
  assert.equal(fieldOf(seen, 3, 'User Name'), 'alice')
  assert.deepEqual([fieldOf(seen, 4, 'User Name'), fieldOf(seen, 4, 'User Type')], ['admin', 'CN_CRYPTO_OFFICER (2)'])
  assert.equal(seen[3]?.by, 'admin')
  assert.equal(fieldOf(seen, 6, 'Priv/Secret Key Handle'), BigInt(key.handle).toString())
  assert.equal(fieldOf(seen, 6, 'Log type'), 'MGMT_KEY_DETAILS_LOG (1)')
  assert.equal(fieldOf(seen, 7, 'Priv/Secret Key Handle'), BigInt(pair.privateKey.handle).toString())
  assert.equal(fieldOf(seen, 7, 'Public Key Handle'), BigInt(pair.publicKey.handle).toString())
  assert.equal(fieldOf(seen, 8, 'Priv/Secret Key Handle'), BigInt(key.handle).toString())
  assert.equal(fieldOf(seen, 6, 'Session Handle'), fieldOf(seen, 5, 'Session Handle'))
  assert.notEqual(fieldOf(seen, 6, 'Session Handle'), fieldOf(seen, 1, 'Session Handle'))
  assert.ok(seen.every(({ field }) => field('Response') === '0:HSM Return: SUCCESS'))
  await alice.close()
  await until(async () => (await events()).at(-1)?.field('Opcode') === 'CN_CLOSE_SESSION (0x8002)')
})

test('a login whose connection was cut while the password was looked at has its end in the log as well', async () => {
  const cut = await client()
  const before = (await events()).length
  const login = cut.call('login', { username: 'admin', role: 'admin', password: 'admin-secret-1' })
  const lost = assert.rejects(login)
  await cut.call('hsm-info', {})
  await cut.close()
  await lost
  await until(async () => (await events()).length === before + 2)
  const seen = (await events()).slice(before)
  assert.deepEqual(opcodes(seen), ['CN_LOGIN (0xd)', 'CN_CLOSE_SESSION (0x8002)'])
  assert.equal(fieldOf(seen, 0, 'Session Handle'), fieldOf(seen, 1, 'Session Handle'))
})

test('a refused login is told by number, and who is not logged in cannot fill the log otherwise', async () => {
  const before = (await events()).length
  const connection = await client()
  const refused = async (username: string, password: string) =>
    assert.rejects(connection.call('login', { username, role: 'crypto-user', password }), { code: 'LoginFailed' })
  await refused('alice', 'wrong-secret')
  await refused('nobody', 'wrong-secret')
  await assert.rejects(connection.call('user-create', { username: 'x', role: 'admin', password: 'x-secret-1' }))
  await assert.rejects(connection.call('activate', { password: 'other-secret' }), { code: 'AlreadyActivated' })
  await connection.call('logout', {})
  await connection.close()
  const seen = (await events()).slice(before)
  assert.deepEqual(
    seen.map(({ field }) => [field('User Name'), field('Response')]),
    [
      ['alice', '163:HSM Error: RET_USER_LOGIN_FAILURE'],
      ['nobody', "157:HSM Error: user isn't initialized or user with this name doesn't exist"],
    ],
  )
})

test('what an admin is refused is written down with the code of the refusal', async () => {
  const connection = await admin()
  await assert.rejects(connection.call('user-delete', { username: 'nobody', role: 'admin' }), { code: 'UserNotFound' })
  const last = (await events()).at(-1)
  assert.ok(last)
  assert.equal(last.field('Response'), '4096:HSM Error: UserNotFound')
  assert.equal(last.by, 'admin')
  await connection.close()
})

test('no password, and nothing but the handle of a key, is in the log', async () => {
  const text = (await files()).map((file) => file.text).join('')
  assert.doesNotMatch(text, /secret-1|wrong-secret|other-secret/)
})

test('killed in the middle of management, the HSM has every acknowledged operation in its log, and no gap', async () => {
  const connection = await admin()
  const acknowledged: string[] = []
  const work = (async () => {
    for (let i = 0; i < 500; i++) {
      const username = `u${i}`
      await connection.call('user-create', { username, role: 'crypto-user', password: 'some-secret-1' })
      acknowledged.push(username)
    }
  })().catch(() => undefined)
  await until(() => Promise.resolve(acknowledged.length >= 3))
  await cluster.first.stop('SIGKILL')
  await work
  await cluster.first.start()
  const again = await admin()
  const seen = await events()
  const logged = new Set(seen.map(({ field }) => field('User Name')))
  assert.deepEqual(
    acknowledged.filter((name) => !logged.has(name)),
    [],
  )
  assert.deepEqual(
    seen.map(({ field }) => Number(field('Sequence No'))),
    seen.map((_, i) => i),
  )
  assert.equal(seen.at(-1)?.field('Reboot counter'), '0x2')
  await again.close()
})

/** A blank HSM with what the first one holds. */
async function restored(hsm: HsmProcess): Promise<void> {
  const [from, to] = [await cluster.first.management(), await hsm.management()]
  const backup = { backupId: 'backup-bbbbbbbbbbb' }
  const announced = await from.call('backup-begin', backup)
  const { bytes } = await from.call('backup-read', { ...backup, offset: 0, length: announced.size })
  await from.call('backup-end', backup)
  await to.call('restore-begin', { ...backup, ...announced })
  await to.call('restore-write', { ...backup, offset: 0, bytes })
  const clusterId = 'cluster-restoredone'
  const membership = cluster.pki.signMembership({ clusterId, epoch: 1, members: [hsm.member] })
  const commit = { ...backup, clusterId, mode: 'FIPS', hsmType: 'hsm2m.medium', membership } as const
  await to.call('restore-commit', commit)
  // Once more: nothing changes, so nothing is written down.
  await to.call('restore-commit', commit)
  await Promise.all([from.close(), to.close()])
}

test('the log of a restored HSM begins with the restore, at number 0, then come the logins', async () => {
  const hsm = await startHsmProcess({ pki: cluster.pki })
  try {
    await restored(hsm)
    const connection = await hsm.client(cluster.customer.certificate)
    await connection.call('login', { username: 'admin', role: 'admin', password: 'admin-secret-1' })
    await connection.close()
    const seen = await events(hsm)
    assert.deepEqual(opcodes(seen).slice(0, 3), [
      'CN_RESTORE_BEGIN (0x800d)',
      'CN_RESTORE_END (0x800e)',
      'CN_LOGIN (0xd)',
    ])
    assert.equal(fieldOf(seen, 0, 'Sequence No'), '0x0')
    assert.deepEqual([seen[0]?.by, seen[2]?.field('User Name')], ['control plane', 'admin'])
  } finally {
    await hsm.dispose()
  }
})

test('a backup and the end of the HSM are written down; the log outlives the keys', async () => {
  const management = await cluster.first.management()
  const before = (await events()).length
  await management.call('backup-begin', { backupId: 'backup-aaaaaaaaaaa' })
  await management.call('backup-end', { backupId: 'backup-aaaaaaaaaaa' })
  await management.call('zeroise', {})
  await management.close()
  await cluster.first.stop()
  const seen = (await events())
    .slice(before)
    .filter(({ operation }) => operation === 'backup-begin' || operation === 'zeroise')
  assert.deepEqual(opcodes(seen), ['CN_BACKUP_BEGIN (0x800b)', 'CN_BACKUP_END (0x800c)', 'CN_ZEROIZE (0x8011)'])
})

async function until(check: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (await check()) return
    await sleep(20)
  }
  assert.fail('not in time')
}
