import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { makeCertificate, makeRequest } from '../identity/certificate.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { ToldPeers } from '../vault/testing/told-peers.ts'
import { customerCa } from '../testing/pki.ts'
import { leadsTo, MAX_CHAIN_BYTES, readAnchor } from './anchor.ts'
import { Mtls } from './mtls.ts'

const DAY_MS = 24 * 60 * 60_000

function root(key: KeyObject, { authority = true, from = -DAY_MS, until = DAY_MS } = {}): string {
  return makeCertificate({
    subject: [['CN', 'client root']],
    key,
    issuer: 'self',
    issuerKey: key,
    notBefore: new Date(Date.now() + from),
    notAfter: new Date(Date.now() + until),
    ...(authority && { authority: {} }),
    usage: ['keyCertSign'],
  })
}
const rsa = (bits: number) => generateKeyPairSync('rsa', { modulusLength: bits }).privateKey
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey
const p256 = ec('P-256')

const keys: readonly (readonly [string, () => KeyObject, boolean])[] = [
  ['RSA 2048', () => rsa(2048), true],
  ['RSA 3072', () => rsa(3072), true],
  ['RSA 4096', () => rsa(4096), true],
  ['RSA 2304', () => rsa(2304), false],
  ['RSA 1024', () => rsa(1024), false],
  ['P-256', () => p256, true],
  ['P-384', () => ec('P-384'), true],
  ['P-521', () => ec('P-521'), true],
  ['secp256k1', () => ec('secp256k1'), false],
]
for (const [name, make, fits] of keys) {
  test(`a trust anchor with a key ${name} is ${fits ? 'taken' : 'refused'}`, () => {
    const pem = root(make())
    if (fits) readAnchor(pem)
    else assert.throws(() => readAnchor(pem), { code: 'CertificateInvalid', message: /RSA 2048, 3072 or 4096/ })
  })
}

const chain = customerCa('chained').intermediate().anchor
const certificates = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []
const refused: readonly (readonly [string, string, RegExp])[] = [
  ['no PEM at all', 'hello', /no PEM certificate/],
  ['a certificate that is no authority', root(p256, { authority: false }), /not of a certificate authority/],
  ['one that is not valid yet', root(p256, { from: DAY_MS, until: 2 * DAY_MS }), /not valid now/],
  ['one that has expired', root(p256, { from: -2 * DAY_MS, until: -DAY_MS }), /not valid now/],
  ['a chain in the wrong order', certificates.toReversed().join(''), /issuing authority comes first/],
  ['an authority without its root', certificates[0] ?? '', /does not end in a self-signed root/],
  [
    'a private key beside it',
    root(p256) + p256.export({ format: 'pem', type: 'pkcs8' }),
    /something besides certificates/,
  ],
  ['a chain that is too long', chain + ' '.repeat(MAX_CHAIN_BYTES), /at most 6980 are allowed/],
]
for (const [what, pem, says] of refused) {
  test(`${what} is refused as a trust anchor`, () => {
    assert.throws(() => readAnchor(pem), { code: 'CertificateInvalid', message: says })
  })
}

test('a certificate counts when the first authority of the anchor issued it, not when only its root did', () => {
  const ca = customerCa('clients')
  const below = ca.intermediate()
  const request = makeRequest({ subject: [['CN', 'app']], key: p256 })
  const anchor = readAnchor(below.anchor)
  assert.equal(leadsTo(anchor, new X509Certificate(below.signRequest(request))), true)
  assert.equal(leadsTo(anchor, new X509Certificate(ca.signRequest(request))), false)
  assert.equal(leadsTo(readAnchor(ca.certificate), new X509Certificate(ca.signRequest(request))), true)
  assert.equal(leadsTo(anchor, new X509Certificate(customerCa('clients').signRequest(request))), false)
  const expired = ca.signRequest(request, { notAfter: new Date(Date.now() - 60 * 60_000) })
  assert.equal(leadsTo(readAnchor(ca.certificate), new X509Certificate(expired)), false)
})

test('an anchor that not every HSM holds yet is partial, and full when all do', async () => {
  const peers = new ToldPeers(3)
  peers.holding = 2
  const mtls = new Mtls({ store: new MemoryStore('hsm-0'), replication: peers, hsmType: () => 'hsm2m.medium' })
  assert.equal((await mtls.register(customerCa('clients').certificate)).coverage, 'partial')
  assert.deepEqual(
    mtls.list().map(({ reference, coverage }) => [reference, coverage]),
    [[1, 'partial']],
  )
  peers.holding = 3
  assert.equal(mtls.list()[0]?.coverage, 'full')
})

test('an anchor that one HSM of several holds is refused and undone', async () => {
  const peers = new ToldPeers(3)
  peers.holding = 1
  const mtls = new Mtls({ store: new MemoryStore('hsm-0'), replication: peers, hsmType: () => 'hsm2m.medium' })
  await assert.rejects(mtls.register(customerCa('clients').certificate), { code: 'NotEnoughCopies' })
  assert.deepEqual(mtls.list(), [])
})

test('a cluster of hsm1.medium has no mTLS, and is told why', async () => {
  const store = new MemoryStore('hsm-a')
  const mtls = new Mtls({ store, replication: new ToldPeers(0), hsmType: () => 'hsm1.medium' })
  const refusal = { code: 'PolicyRefused', message: /mTLS is for clusters of hsm2m\.medium/ }
  await assert.rejects(mtls.register(customerCa('clients').certificate), refusal)
  await assert.rejects(mtls.setLevel('cluster'), refusal)
})
