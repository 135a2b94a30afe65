import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ServiceError } from '../../provider-schema/errors.ts'
import { workshop, type Workshop } from '../testing/openssl.ts'
import { checkedCertificates, type SubmittedCertificates } from './certificates.ts'

let shop: Workshop
let csr: string
let anchor: string
let signed: string
const NOW = new Date()

before(async () => {
  shop = await workshop()
  csr = await shop.request('cluster')
  anchor = await shop.selfSigned('customer-ca', '-days', '3652')
  signed = await shop.issue('cluster', 'customer-ca', '-days', '3652')
})
after(() => shop.remove())

const check = (differing: Partial<SubmittedCertificates> = {}) =>
  checkedCertificates({ csr, signedCert: signed, trustAnchor: anchor, now: NOW, ...differing })

async function refuses(differing: Partial<SubmittedCertificates>, message: RegExp): Promise<void> {
  await assert.rejects(check(differing), (error) => {
    assert.ok(error instanceof ServiceError)
    assert.equal(error.code, 'CloudHsmInvalidRequestException')
    assert.match(error.message, message)
    return true
  })
}

test("accepts what openssl makes by the user guide's commands, and keeps it as it came", async () => {
  assert.deepEqual(await check(), { clusterCertificate: signed, trustAnchor: anchor })
})

test('text around the PEM and a missing last newline do not matter', async () => {
  const messy = { signedCert: `subject=CN\n\n${signed.trimEnd()}`, trustAnchor: anchor.trimEnd() }
  assert.deepEqual(await check(messy), { clusterCertificate: signed, trustAnchor: anchor })
})

test('refuses what is not PEM', async () => {
  await refuses({ signedCert: 'junk' }, /^SignedCert is not a certificate in PEM/)
  await refuses({ trustAnchor: '' }, /^TrustAnchor is not a certificate in PEM/)
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  await refuses({ signedCert: broken }, /^SignedCert is not a certificate in PEM/)
})

test('refuses a certificate for another key than that of the CSR', async () => {
  await shop.request('stranger')
  await refuses(
    { signedCert: await shop.issue('stranger', 'customer-ca') },
    /public key is not that of the cluster's CSR/,
  )
})

test('refuses an anchor that did not issue the certificate, also one of the same name', async () => {
  await refuses({ trustAnchor: await shop.selfSigned('other-ca') }, /not issued by TrustAnchor/)
  const namesake = await shop.selfSigned('namesake', '-subj', '/CN=customer-ca')
  await refuses({ trustAnchor: namesake }, /not issued by TrustAnchor/)
})

test('accepts a chain of anchors in any order that ends in a root, and refuses one without', async () => {
  await shop.request('intermediate')
  const ca = 'ext:basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n'
  const intermediate = await shop.issue('intermediate', 'customer-ca', ca)
  const leaf = await shop.issue('cluster', 'intermediate')
  const chain = `${anchor}${intermediate}`
  assert.equal((await check({ signedCert: leaf, trustAnchor: chain })).trustAnchor, chain)
  await refuses({ signedCert: leaf, trustAnchor: intermediate }, /a chain that ends in one/)
  await refuses({ signedCert: leaf, trustAnchor: anchor }, /not issued by TrustAnchor/)
  await refuses({ trustAnchor: anchor.repeat(5) }, /at most 4/)
  await refuses({ signedCert: signed.repeat(2) }, /exactly one/)
})

test('refuses an anchor that is no CA', async () => {
  const leaf = await shop.selfSigned('no-ca', '-addext', 'basicConstraints=critical,CA:FALSE')
  const issued = await shop.issue('cluster', 'no-ca')
  await refuses({ signedCert: issued, trustAnchor: leaf }, /do not say CA:TRUE/)
})

test('refuses anchors with keys that are too small or of another kind', async () => {
  const small = await shop.selfSigned('small', '-newkey', 'rsa:1024')
  await refuses({ signedCert: await shop.issue('cluster', 'small'), trustAnchor: small }, /RSA key of 2048/)
  const edwards = await shop.selfSigned('edwards', '-newkey', 'ed25519')
  await refuses({ signedCert: await shop.issue('cluster', 'edwards'), trustAnchor: edwards }, /RSA key of 2048/)
})

test('accepts an anchor on a NIST curve, and a CSR on one', async () => {
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']
  const trustAnchor = await shop.selfSigned('curve-ca', ...ec)
  const request = await shop.request('curve', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
  const signedCert = await shop.issue('curve', 'curve-ca')
  assert.ok(await check({ csr: request, signedCert, trustAnchor }))
})

test('refuses what is not valid yet or any more', async () => {
  await refuses({ now: new Date(NOW.getTime() - 24 * 3_600_000) }, /SignedCert is not valid before/)
  await refuses({ now: new Date('2099-01-01') }, /SignedCert expired on/)
  const brief = await shop.selfSigned('brief-ca', '-days', '1')
  const long = await shop.issue('cluster', 'brief-ca', '-days', '30')
  const later = new Date(NOW.getTime() + 5 * 24 * 3_600_000)
  await refuses({ signedCert: long, trustAnchor: brief, now: later }, /TrustAnchor expired on/)
})

test('refuses a certificate with which no client would accept a server', async () => {
  const withExtension = (lines: string) => shop.issue('cluster', 'customer-ca', `ext:${lines}\n`)
  for (const [signedCert, message] of [
    [await shop.issue('cluster', 'customer-ca', '-sha1'), /^SignedCert is signed with sha1WithRSA.*use SHA-256/],
    [await shop.issue('cluster', 'customer-ca', '-md5'), /^SignedCert is signed with md5WithRSA/],
    [await withExtension('extendedKeyUsage=clientAuth'), /^SignedCert is not for servers.*serverAuth/],
    [await withExtension('keyUsage=keyCertSign'), /^SignedCert cannot be a server certificate/],
    [await withExtension('1.2.3.4=critical,DER:0500'), /^SignedCert has a critical extension.*1\.2\.3\.4/],
  ] as const) {
    await refuses({ signedCert }, message)
  }
  const usual = 'extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\n1.2.3.4=DER:0500'
  assert.ok(await check({ signedCert: await withExtension(usual) }))
})

test('asks the same of a chain of anchors, but for how the root is signed', async () => {
  const old = await shop.selfSigned('old-ca', '-sha1')
  assert.ok(await check({ signedCert: await shop.issue('cluster', 'old-ca'), trustAnchor: old }))
  await shop.request('weak-link')
  const ca = 'ext:basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n'
  const weak = await shop.issue('weak-link', 'customer-ca', ca, '-sha1')
  const below = await shop.issue('cluster', 'weak-link')
  await refuses({ signedCert: below, trustAnchor: `${anchor}${weak}` }, /^TrustAnchor is signed with sha1/)
  const mail = await shop.selfSigned('mail-ca', '-addext', 'extendedKeyUsage=emailProtection')
  const signedCert = await shop.issue('cluster', 'mail-ca')
  await refuses({ signedCert, trustAnchor: mail }, /^TrustAnchor is not for servers/)
})
