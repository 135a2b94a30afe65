/** Keys with quorum values: what their users must approve, through the operations of the client port. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import type { KeyService } from '../protocol/quorum.ts'
import { startInProcess, type InProcessSession } from './testing/in-process.ts'

const REQUIRED = { code: 'QuorumRequired', message: 'Quorum approval is required for this operation' }
const MECHANISM = { name: 'rsa-pkcs', hash: 'sha256' } as const
const DATA = Buffer.from('pay 100 EUR')
const once = { requireTwoCopies: false } as const

async function register(session: InProcessSession): Promise<KeyObject> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { record } = await session.call('quorum-token-generate', { service: 'registration' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const request = { record, publicKey: spki, signature: sign('sha256', record, privateKey) }
  await session.call('user-register-quorum-key', request)
  // Once: a token that was spent registers nothing more.
  await assert.rejects(session.call('user-register-quorum-key', request), { code: 'QuorumFailed' })
  return privateKey
}

async function sharedKey() {
  const hsm = await startInProcess()
  const alice = hsm.as('alice')
  const bob = hsm.as('bob')
  const keys = { alice: await register(alice), bob: await register(bob) }
  const { privateKey } = await alice.call('key-generate-rsa', {
    modulusBits: 2048,
    publicExponent: 65537,
    publicAttributes: {},
    privateAttributes: { sign: true, decrypt: true },
    shareWith: ['bob'],
    manageQuorum: 2,
    useQuorum: 2,
    ...once,
  })
  const { handle } = privateKey
  const approve = async (session: InProcessSession, service: KeyService) => {
    const { record } = await session.call('quorum-token-generate', { service, handle })
    const signatures = (['alice', 'bob'] as const).map((username) => ({
      username,
      role: 'crypto-user' as const,
      signature: sign('sha256', record, keys[username]),
    }))
    await session.call('quorum-approve', { approvalData: record, signatures })
  }
  return { alice, bob, handle, approve }
}

test('each signature needs approvals of its own, at once or in parts, by the owner or a sharee', async () => {
  const { alice, bob, handle, approve } = await sharedKey()
  const signOnce = (session: InProcessSession) =>
    session.call('sign', { handle, mechanism: MECHANISM, data: DATA, ...once })
  const begin = () => alice.call('part-begin', { use: 'sign', handle, mechanism: MECHANISM, ...once })
  for (const session of [alice, bob]) {
    await assert.rejects(signOnce(session), REQUIRED)
    await approve(session, 'key-usage')
    assert.equal((await signOnce(session)).signature.length, 256)
    await assert.rejects(signOnce(session), REQUIRED)
  }
  await assert.rejects(begin(), REQUIRED)
  await approve(alice, 'key-usage')
  await begin()
  await assert.rejects(begin(), REQUIRED)
})

test('raw RSA decryption, which signs, needs the approvals of signing', async () => {
  const { alice, handle, approve } = await sharedKey()
  const data = Buffer.alloc(256, 1)
  const decrypt = () => alice.call('decrypt', { handle, mechanism: { name: 'rsa-x509' }, data, ...once })
  await assert.rejects(decrypt(), REQUIRED)
  await approve(alice, 'key-management')
  await assert.rejects(decrypt(), REQUIRED, 'of another service')
})

test('changing and unsharing a key need approvals for its management; deleting it does not', async () => {
  const { alice, handle, approve } = await sharedKey()
  const rename = () => alice.call('key-set-attribute', { handle, attributes: { label: 'new' } })
  await assert.rejects(rename(), REQUIRED)
  await assert.rejects(alice.call('key-unshare', { handle, username: 'bob' }), REQUIRED)
  await approve(alice, 'key-management')
  assert.equal((await rename()).key.attributes.label, 'new')
  await assert.rejects(rename(), REQUIRED)
  await alice.call('key-delete', { handle })
})
