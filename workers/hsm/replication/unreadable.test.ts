/** An HSM process and a member that sends it what no HSM can read or no HSM writes: the one stays, and starts again. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Packr } from 'msgpackr'
import { makeRequest } from '../identity/certificate.ts'
import { decodeIdentity, encodeIdentity, IDENTITY_PATH, newMaskingKey } from '../identity/cluster-identity.ts'
import { openConnection, type Connection } from '../protocol/connection.ts'
import { hsmUri } from '../../../provider-schema/party-names.ts'
import { managing, startCluster, type TestCluster } from '../testing/process.ts'
import { maskingWith, type Masking } from './masking.ts'
import { peerOperations, type PeerOperations } from './peer-operations.ts'

const OTHER = 'hsm-otherother1'
const HANDLE = '0x00000000000000aa'
const pack = (value: unknown): Buffer => new Packr({ useRecords: false }).pack(value)
const SOMETHING = pack({ of: 'a later version' })

let cluster: TestCluster
let link: Connection<PeerOperations>
let masking: Masking
let identity: Uint8Array

before(async () => {
  cluster = await startCluster()
  const { first, pki, clusterId } = cluster
  const members = [first.member, { hsmId: OTHER, address: '127.99.1.1', eniIp: '127.99.1.1' }]
  const membership = pki.signMembership({ clusterId, epoch: 2, members })
  await managing(first, (management) => management.call('membership', membership))
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { deviceChain } = pki.issueDevice(makeRequest({ subject: [['CN', OTHER]], key, uri: hsmUri(OTHER) }), OTHER)
  link = await openConnection({
    host: first.config.address,
    port: first.config.ports.peer,
    operations: peerOperations,
    tls: { key: key.export({ format: 'pem', type: 'pkcs8' }), cert: deviceChain, ca: [pki.trust.root] },
  })
  ;({ value: identity } = await link.call('join', { clusterId }))
  masking = maskingWith(decodeIdentity(identity).maskingKey)
  await link.call('greet', { clusterId, incarnation: 'a', epoch: 2 })
})
after(async () => {
  await link.close()
  await cluster.first.dispose()
})

const push = (path: string, value: Uint8Array | undefined, counter = 1_000) =>
  link.call('push', { records: [masking.seal({ path, version: { counter, hsmId: OTHER }, ...(value && { value }) })] })

for (const [path, value] of [
  [`keys/${HANDLE}`, SOMETHING],
  ['keys/', SOMETHING],
  [`key-shares/${HANDLE}/alice`, SOMETHING],
  [`key-attributes/${HANDLE}/label`, SOMETHING],
  [`key-attributes/${HANDLE}/label`, pack({ name: 'extractable', value: true })],
  [`by/${OTHER}/key-attributes/${HANDLE}/label`, pack([2 ** 48, pack({ name: 'label', value: 'a' })])],
  ['users/bob', SOMETHING],
  [`by/${OTHER}/users/bob`, SOMETHING],
  [`by/${OTHER}/leaving/bob/1`, SOMETHING],
  ['quorum-values/user', SOMETHING],
  ['mtls/anchors/1', SOMETHING],
  ['mtls/anchors/1', pack({ certificate: 'none' })],
  [IDENTITY_PATH, SOMETHING],
  [IDENTITY_PATH, undefined],
] as const) {
  test(`a member's record ${path} that cannot be read is refused`, async () => {
    await assert.rejects(push(path, value), {
      code: 'InvalidRequest',
      message: new RegExp(`^the record ${path} cannot`),
    })
  })
}

test('no member makes the cluster another one', async () => {
  const other = encodeIdentity({ ...decodeIdentity(identity), maskingKey: newMaskingKey() })
  await assert.rejects(push(IDENTITY_PATH, other), { code: 'InvalidRequest', message: /of another cluster/ })
})

test('no member uses up the versions of all', async () => {
  await assert.rejects(push('something/new', SOMETHING, 2 ** 48), { code: 'InvalidRequest', message: /is higher than/ })
})

test('what is of no known kind is kept for those who know it, and the HSM starts again with all that it has', async () => {
  await push('something/new', SOMETHING)
  const { first } = cluster
  await first.stop()
  await first.start()
  const { phase } = await managing(first, (management) => management.call('health', {}))
  assert.equal(phase, 'initialized')
})
