import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { customerCa, fleetPki } from '../testing/pki.ts'
import { makeRequest, publicKeyOfRequest, samePublicKey } from './certificate.ts'
import { decodeIdentity, encodeIdentity } from './cluster-identity.ts'
import type { Device } from './device.ts'
import { foundCluster, withCertificate } from './found.ts'
import { hsmUri } from '../../../provider-schema/party-names.ts'

const pki = fleetPki()
const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const chains = pki.issueDevice(makeRequest({ subject: [['CN', 'hsm-1']], key, uri: hsmUri('hsm-1') }), 'hsm-1')
const device: Device = {
  hsmId: 'hsm-1',
  key,
  certificate: new X509Certificate(chains.deviceChain),
  tls: { key: '', cert: chains.deviceChain },
}
const founded = await foundCluster(device, { clusterId: 'cluster-1', mode: 'FIPS', hsmType: 'hsm2m.medium' })
const ca = customerCa()

test('openssl verifies the HSM certificate through the manufacturer and through the provider', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'hsm-found-'))
  t.after(() => rm(directory, { recursive: true }))
  const file = async (name: string, content: string) => {
    await writeFile(join(directory, name), content)
    return join(directory, name)
  }
  const hsmCertificate = await file('hsm.pem', founded.hsmCertificate ?? '')
  const root = await file('root.pem', pki.root.pem)
  for (const [name, chain] of Object.entries(chains)) {
    const untrusted = await file(name, chain)
    const said = execFileSync('openssl', ['verify', '-CAfile', root, '-untrusted', untrusted, hsmCertificate])
    assert.match(said.toString(), /hsm\.pem: OK/)
  }
})

test('the HSM certificate and the CSR carry the cluster key and say that this is software', () => {
  const certificate = new X509Certificate(founded.hsmCertificate ?? '')
  assert.ok(samePublicKey(publicKeyOfRequest(founded.csr), certificate.publicKey))
  assert.match(
    certificate.subject,
    /^C=US\nST=CA\nO=Strongroom\nOU=Software HSM\\?, FIPS policy\nL=Software\nCN=HSM:hsm-1:PARTN:1\\?, for FIPS mode$/,
  )
  assert.equal(publicKeyOfRequest(founded.csr).asymmetricKeyDetails?.modulusLength, 2048)
})

test('an identity is the same after it was stored', () => {
  assert.deepEqual(decodeIdentity(encodeIdentity(founded)), founded)
})

test('a certificate by a root, or by an authority below it, is installed', () => {
  const clusterCertificate = ca.signRequest(founded.csr)
  const installed = withCertificate(founded, { clusterCertificate, trustAnchor: ca.certificate })
  assert.equal(installed.clusterCertificate, clusterCertificate)
  const below = ca.intermediate()
  withCertificate(founded, { clusterCertificate: below.signRequest(founded.csr), trustAnchor: below.anchor })
})

const otherCsr = makeRequest({
  subject: [['CN', 'x']],
  key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
})
const refused: readonly (readonly [string, { clusterCertificate: string; trustAnchor: string }, RegExp])[] = [
  [
    'a certificate for another key',
    { clusterCertificate: ca.signRequest(otherCsr), trustAnchor: ca.certificate },
    /not for the key/,
  ],
  [
    'a trust anchor that did not issue the certificate',
    { clusterCertificate: ca.signRequest(founded.csr), trustAnchor: customerCa().certificate },
    /not issued by the trust anchor/,
  ],
  [
    'an anchor that is no root',
    (() => {
      const below = ca.intermediate()
      const [first = ''] = below.anchor.split(/(?<=-----END CERTIFICATE-----\n)/)
      return { clusterCertificate: below.signRequest(founded.csr), trustAnchor: first }
    })(),
    /root of the trust anchor was not issued by itself/,
  ],
  [
    'a certificate out of date',
    {
      clusterCertificate: ca.signRequest(founded.csr, { notAfter: new Date(Date.now() - 3_600_000) }),
      trustAnchor: ca.certificate,
    },
    /not valid now/,
  ],
  [
    'a certificate that issues itself as its anchor',
    { clusterCertificate: ca.signRequest(founded.csr), trustAnchor: ca.signRequest(founded.csr) },
    /not issued by the trust anchor/,
  ],
  ['no certificate', { clusterCertificate: 'hello', trustAnchor: ca.certificate }, /no PEM certificate/],
  [
    'garbage in PEM',
    {
      clusterCertificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      trustAnchor: ca.certificate,
    },
    /cannot be read/,
  ],
]
for (const [what, offered, why] of refused) {
  test(`${what} is refused`, () => {
    assert.throws(() => withCertificate(founded, offered), { code: 'CertificateInvalid', message: why })
  })
}

test('a root of X.509 version 1, which has no extensions, is a trust anchor', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'hsm-found-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = (name: string) => join(directory, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  await writeFile(path('cluster.csr'), founded.csr)
  openssl(
    'req',
    '-new',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.csr'),
    '-subj',
    '/CN=v1',
  )
  openssl('x509', '-req', '-in', path('ca.csr'), '-signkey', path('ca.key'), '-out', path('ca.crt'))
  const trustAnchor = openssl('x509', '-in', path('ca.crt')).toString()
  const issue = ['-CA', path('ca.crt'), '-CAkey', path('ca.key'), '-CAcreateserial']
  const clusterCertificate = openssl('x509', '-req', '-in', path('cluster.csr'), ...issue).toString()
  withCertificate(founded, { clusterCertificate, trustAnchor })
})
