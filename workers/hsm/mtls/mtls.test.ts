/** mTLS of clients with real HSM processes over real TLS. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { makeRequest } from '../identity/certificate.ts'
import { clientOperations, type ClientOperations } from '../protocol/client-operations.ts'
import { openConnection, type Connection } from '../protocol/connection.ts'
import { encodeFrame } from '../protocol/frame.ts'
import { customerCa, type CustomerCa, type TlsCredentials } from '../testing/pki.ts'
import { startCluster, startHsmProcess, type HsmProcess, type TestCluster } from '../testing/process.ts'

let cluster: TestCluster
let second: HsmProcess
const open: Connection<ClientOperations>[] = []
const clients = customerCa('client-ca')

before(async () => {
  cluster = await startCluster()
  const first = await connected(cluster.first)
  await first.call('activate', { password: 'admin-secret-1' })
  second = await startHsmProcess({ pki: cluster.pki })
  const { clusterId, pki } = cluster
  const members = [cluster.first.member, second.member]
  const membership = pki.signMembership({ clusterId, epoch: 2, members })
  for (const [hsm, call] of [
    [cluster.first, 'membership'],
    [second, 'join'],
  ] as const) {
    const management = await hsm.management()
    if (call === 'membership') await management.call('membership', membership)
    else await management.call('join', { clusterId, membership })
    await management.close()
  }
  const admin = await loggedIn(cluster.first)
  await admin.call('user-create', { username: 'second', role: 'admin', password: 'admin-secret-2' })
  await admin.call('user-create', { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' })
  await admin.close()
})
after(async () => {
  await Promise.all(open.map((connection) => connection.close()))
  await second.dispose()
  await cluster.first.dispose()
})

/** A key and a certificate by this authority, as a client shows them. */
function certified(by: { signRequest(csr: string): string } = clients): TlsCredentials {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const cert = by.signRequest(makeRequest({ subject: [['CN', 'app']], key }))
  return { key: key.export({ format: 'pem', type: 'pkcs8' }), cert }
}

async function connected(hsm: HsmProcess, credentials?: TlsCredentials): Promise<Connection<ClientOperations>> {
  const { address: host, ports } = hsm.config
  const tls = { ca: cluster.customer.certificate, ...credentials }
  const connection = await openConnection({ host, port: ports.client, operations: clientOperations, tls })
  open.push(connection)
  await connection.call('hello', { client: 'test', protocol: 1 })
  return connection
}

interface Login {
  readonly username?: string
  readonly password?: string
  readonly role?: 'admin' | 'crypto-user'
}

async function loggedIn(
  hsm: HsmProcess,
  { username = 'admin', password = 'admin-secret-1', role = 'admin' }: Login = {},
  credentials?: TlsCredentials,
) {
  const connection = await connected(hsm, credentials)
  await connection.call('login', { username, role, password })
  return connection
}
const referencesOn = async (hsm: HsmProcess) => {
  const connection = await connected(hsm)
  const { anchors } = await connection.call('mtls-list-trust-anchors', {})
  return anchors.map(({ reference }) => reference)
}

test('without an anchor a client may show any certificate or none, and only mTLS may enforce mTLS', async () => {
  const admin = await loggedIn(cluster.first, {}, certified())
  assert.deepEqual(await admin.call('mtls-get-enforcement', {}), { level: 'none' })
  await assert.rejects(admin.call('mtls-set-enforcement', { level: 'cluster' }), {
    code: 'PermissionDenied',
    message: /over a connection with mTLS only/,
  })
  const nobody = await connected(cluster.first)
  await assert.rejects(nobody.call('mtls-get-enforcement', {}), { code: 'NotAuthenticated' })
  await assert.rejects(nobody.call('mtls-register-trust-anchor', { certificate: clients.certificate }), {
    code: 'NotAuthenticated',
  })
})

test('an admin registers up to two anchors, each once; anyone sees them on every HSM', async () => {
  const admin = await loggedIn(cluster.first)
  const register = (ca: CustomerCa) => admin.call('mtls-register-trust-anchor', { certificate: ca.certificate })
  const { anchor } = await register(clients)
  assert.deepEqual([anchor.reference, anchor.coverage], [1, 'full'])
  assert.equal(anchor.certificate.trim(), clients.certificate.trim())
  await assert.rejects(register(clients), { code: 'CertificateInvalid', message: /registered already, as 1/ })
  const other = customerCa('other-ca')
  assert.equal((await register(other)).anchor.reference, 2)
  await assert.rejects(register(customerCa('third-ca')), { code: 'LimitExceeded', message: /at most 2 trust anchors/ })
  assert.deepEqual(await referencesOn(cluster.first), [1, 2])
  assert.deepEqual(await referencesOn(second), [1, 2])
})

test('deregistering an anchor ends the connections that came in by it, here and there, and no others', async () => {
  const admin = await loggedIn(cluster.first)
  const by1 = await connected(second, certified())
  const other = customerCa('replaced-ca')
  await admin.call('mtls-deregister-trust-anchor', { reference: 2 })
  await admin.call('mtls-register-trust-anchor', { certificate: other.certificate })
  const [here, there] = [await connected(cluster.first, certified(other)), await connected(second, certified(other))]
  await admin.call('mtls-deregister-trust-anchor', { reference: 2 })
  await Promise.all([here.closed, there.closed])
  assert.ok((await by1.call('hsm-info', {}))['vendor'])
  assert.ok((await admin.call('hsm-info', {}))['vendor'])
  assert.deepEqual(await referencesOn(second), [1])
})

test('only the admin named admin enforces it', async () => {
  const others = await loggedIn(cluster.first, { username: 'second', password: 'admin-secret-2' }, certified())
  await assert.rejects(others.call('mtls-set-enforcement', { level: 'cluster' }), {
    code: 'PermissionDenied',
    message: /only the admin named admin/,
  })
})

test('an admin whose certificate is of nobody known cannot enforce it', async () => {
  const admin = await loggedIn(cluster.first, {}, certified(customerCa('client-ca')))
  await assert.rejects(admin.call('mtls-set-enforcement', { level: 'cluster' }), { code: 'PermissionDenied' })
})

test('enforced, it ends every connection without a certificate that counts, on every HSM, and lets no new one in', async () => {
  const plain = [
    await connected(cluster.first),
    await loggedIn(second, { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' }),
  ]
  const secured = await connected(second, certified())
  const admin = await loggedIn(cluster.first, {}, certified())
  await admin.call('mtls-set-enforcement', { level: 'cluster' })
  await Promise.all(plain.map(({ closed }) => closed))
  assert.ok((await secured.call('hsm-info', {}))['vendor'])
  for (const hsm of [cluster.first, second]) {
    await assert.rejects(connected(hsm), { name: 'ConnectionLost' })
    await assert.rejects(connected(hsm, certified(customerCa('client-ca'))), { name: 'ConnectionLost' })
    const alice = await loggedIn(
      hsm,
      { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' },
      certified(),
    )
    assert.equal((await alice.call('random', { length: 8 })).bytes.length, 8)
    assert.deepEqual(await alice.call('mtls-get-enforcement', {}), { level: 'cluster' })
  }
})

test('a client below an authority that it brings itself counts as one of the root above', async () => {
  const below = clients.intermediate()
  const [authority = ''] = below.anchor.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []
  const { key, cert } = certified(below)
  const connection = await connected(cluster.first, { key, cert: cert + authority })
  assert.ok((await connection.call('hsm-info', {}))['vendor'])
  await assert.rejects(connected(cluster.first, { key, cert }), { name: 'ConnectionLost' })
})

/** One TLS connection that says hello: whether its session was resumed, whether it was answered, and its session. */
async function hello(hsm: HsmProcess, credentials: TlsCredentials, session?: Buffer) {
  const { address: host, ports } = hsm.config
  const ca = cluster.customer.certificate
  const options = { host, port: ports.client, ca, checkServerIdentity: () => undefined, ...credentials }
  const socket = connect({ ...options, ...(session && { session }) })
  let last: Buffer | undefined
  socket.on('session', (given: Buffer) => (last = given))
  const ended = once(socket, 'close').then(() => false)
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  const resumed = socket.isSessionReused()
  socket.write(encodeFrame({ id: 1, op: 'hello', params: { client: 'test', protocol: 1 } }))
  const answered = await Promise.race([once(socket, 'data').then(() => true), ended])
  socket.destroy()
  return { answered, resumed, session: last }
}

test('a resumed session counts as without a certificate, even with the one of its first handshake at hand', async () => {
  const credentials = certified()
  const { answered, resumed, session } = await hello(second, credentials)
  assert.deepEqual([answered, resumed], [true, false])
  assert.ok(session, 'the HSM gives out sessions that can be resumed')
  assert.deepEqual(await hello(second, credentials, session).then((again) => [again.answered, again.resumed]), [
    false,
    true,
  ])
  assert.ok((await hello(second, credentials)).answered)
})

test('enforced, it outlives a restart, and the last anchor stays', async () => {
  await second.stop('SIGKILL')
  await second.start()
  await assert.rejects(connected(second), { name: 'ConnectionLost' })
  const admin = await loggedIn(second, {}, certified())
  await assert.rejects(admin.call('mtls-deregister-trust-anchor', { reference: 1 }), {
    code: 'WrongState',
    message: /set the enforcement to none/,
  })
})

test('set to none again, everybody is let in', async () => {
  const admin = await loggedIn(cluster.first, {}, certified())
  await admin.call('mtls-set-enforcement', { level: 'none' })
  for (const hsm of [cluster.first, second]) assert.ok((await (await connected(hsm)).call('hsm-info', {}))['vendor'])
  await admin.call('mtls-deregister-trust-anchor', { reference: 1 })
  // Its own connection came in by that anchor: it ends once it was answered.
  await admin.closed
})
