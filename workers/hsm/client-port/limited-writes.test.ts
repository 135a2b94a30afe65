/** Limited-write mode of a real HSM process: what works, what is refused, and that a restart does not end it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { PERMISSIONS } from '../policy/roles.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Connection } from '../protocol/connection.ts'
import { startCluster, type TestCluster } from '../testing/process.ts'

const PASSWORD = 'password-1'
const LIMITED = { code: 'PolicyRefused', message: /in limited-write mode while its HSM type is changed/ }

let cluster: TestCluster
let epoch = 1
let key: string
const open: Connection<ClientOperations>[] = []

async function as(username: string, role: 'admin' | 'crypto-user') {
  const connection = await cluster.first.client(cluster.customer.certificate)
  open.push(connection)
  await connection.call('login', { username, role, password: PASSWORD })
  return connection
}

async function limit(limitedWrites: boolean): Promise<void> {
  const { pki, clusterId, first } = cluster
  epoch += 1
  const management = await first.management()
  const membership = pki.signMembership({ clusterId, epoch, members: [first.member], limitedWrites })
  await management.call('membership', membership).finally(() => management.close())
}

const newKey = (token: boolean) =>
  ({ lengthBytes: 32, attributes: { token, encrypt: true }, requireTwoCopies: false }) as const

before(async () => {
  cluster = await startCluster({ hsmType: 'hsm1.medium' })
  const first = await cluster.first.client(cluster.customer.certificate)
  open.push(first)
  await first.call('activate', { password: PASSWORD })
  const admin = await as('admin', 'admin')
  await admin.call('user-create', { username: 'alice', role: 'crypto-user', password: PASSWORD })
  key = (await (await as('alice', 'crypto-user')).call('key-generate-aes', newKey(true))).key.handle
  await limit(true)
})
after(async () => {
  await Promise.all(open.map((connection) => connection.close()))
  await cluster.first.dispose()
})

test('token keys are neither made nor deleted; session keys are', async () => {
  const alice = await as('alice', 'crypto-user')
  await assert.rejects(alice.call('key-generate-aes', newKey(true)), LIMITED)
  await assert.rejects(
    alice.call('key-generate-ec', {
      curve: 'prime256v1',
      publicAttributes: {},
      privateAttributes: { token: false },
      requireTwoCopies: false,
    }),
    LIMITED,
    'half of a pair would be kept',
  )
  await assert.rejects(alice.call('key-delete', { handle: key }), LIMITED)
  const session = await alice.call('key-generate-aes', newKey(false))
  await alice.call('key-delete', { handle: session.key.handle })
  assert.equal((await alice.call('key-find', { filter: {} })).total, 1)
})

test('users are neither made, changed nor deleted', async () => {
  const admin = await as('admin', 'admin')
  const user = { username: 'bob', role: 'crypto-user', password: PASSWORD } as const
  await assert.rejects(admin.call('user-create', user), LIMITED)
  await assert.rejects(admin.call('user-change-password', { ...user, username: 'alice' }), LIMITED)
  await assert.rejects(admin.call('user-delete', { username: 'alice', role: 'crypto-user' }), LIMITED)
  const alice = await as('alice', 'crypto-user')
  await assert.rejects(alice.call('user-change-password', { ...user, username: 'alice' }), LIMITED)
})

test('every operation that its row of the table refuses is refused before its arguments are looked at closer', async () => {
  const refused = Object.entries(PERMISSIONS).filter(([, row]) => row.whenLimited === 'refused')
  assert.ok(refused.length >= 4)
  const alice = await as('alice', 'crypto-user')
  await assert.rejects(alice.call('activate', { password: PASSWORD }), LIMITED)
})

test('keys are used, also by a client that asks for two copies, which no swap leaves there are', async () => {
  const alice = await as('alice', 'crypto-user')
  const data = Buffer.from('pay 100 EUR')
  const { ciphertext } = await alice.call('encrypt', { handle: key, mechanism: { name: 'aes-gcm' }, data })
  assert.equal(ciphertext.length, data.length + 16)
  assert.equal((await alice.call('random', { length: 8 })).bytes.length, 8)
  assert.ok((await alice.call('user-list', {})).users.length >= 2)
})

test('a restart does not end it, an older list neither, a newer one does', async () => {
  await cluster.first.stop('SIGKILL')
  await cluster.first.start()
  await assert.rejects((await as('alice', 'crypto-user')).call('key-generate-aes', newKey(true)), LIMITED)
  epoch -= 2
  await limit(false)
  await assert.rejects((await as('alice', 'crypto-user')).call('key-generate-aes', newKey(true)), LIMITED)
  epoch += 2
  await limit(false)
  const alice = await as('alice', 'crypto-user')
  const made = await alice.call('key-generate-aes', newKey(true))
  await alice.call('key-delete', { handle: made.key.handle })
  await assert.rejects(alice.call('encrypt', { handle: key, mechanism: { name: 'aes-gcm' }, data: Buffer.from('x') }), {
    code: 'NotEnoughCopies',
  })
})

test('the inventory counts what is kept, and its digest changes with it', async () => {
  const management = await cluster.first.management()
  const before = await management.call('inventory', {})
  assert.deepEqual([before.keys, before.users], [1, 2])
  const alice = await as('alice', 'crypto-user')
  await alice.call('key-generate-aes', newKey(false))
  assert.deepEqual(await management.call('inventory', {}), before, 'a session key is nobody else’s matter')
  await alice.call('key-generate-aes', newKey(true))
  const later = await management.call('inventory', {})
  await management.close()
  assert.equal(later.keys, 2)
  assert.notEqual(later.digest, before.digest)
})
