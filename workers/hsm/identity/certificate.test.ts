import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { certificateParts, makeCertificate, makeRequest, publicKeyOfRequest, samePublicKey } from './certificate.ts'

const notBefore = new Date('2026-01-01T00:00:00Z')
const notAfter = new Date('2055-06-30T12:00:00Z')

const keys: readonly (readonly [string, KeyObject, string])[] = [
  ['an RSA key', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, 'sha256WithRSAEncryption'],
  ['a P-256 key', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'ecdsa-with-SHA256'],
  ['a P-384 key', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, 'ecdsa-with-SHA384'],
]

function openssl(args: readonly string[], input: string): string {
  return execFileSync('openssl', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] })
}

for (const [what, key, algorithm] of keys) {
  test(`openssl accepts a request for ${what} and reads its subject and name`, () => {
    const request = makeRequest({
      subject: [
        ['C', 'US'],
        ['O', 'Grüße & Co'],
        ['CN', 'HSM:x:PARTN:1, for FIPS mode'],
      ],
      key,
      uri: 'urn:example:1',
    })
    const shown = openssl(['req', '-verify', '-noout', '-text', '-nameopt', 'utf8,sep_comma_plus_space'], request)
    assert.match(shown, /C ?= ?US, O ?= ?Grüße & Co, CN ?= ?"?HSM:x:PARTN:1\\?, for FIPS mode/)
    assert.match(shown, /URI:urn:example:1/)
    assert.match(shown, new RegExp(algorithm))
    assert.ok(samePublicKey(publicKeyOfRequest(request), key))
  })

  test(`a certificate signed by ${what} says what it was told to`, () => {
    const pem = makeCertificate({
      subject: [['CN', 'authority']],
      key,
      issuer: 'self',
      issuerKey: key,
      notBefore,
      notAfter,
      authority: { pathLength: 0 },
      usage: ['keyCertSign', 'digitalSignature'],
      uri: 'urn:example:2',
    })
    const certificate = new X509Certificate(pem)
    assert.ok(certificate.verify(certificate.publicKey))
    assert.ok(certificate.checkIssued(certificate))
    assert.equal(certificate.ca, true)
    assert.equal(certificate.subjectAltName, 'URI:urn:example:2')
    assert.deepEqual([certificate.validFromDate, certificate.validToDate], [notBefore, notAfter])
    const shown = openssl(['x509', '-noout', '-text'], pem)
    assert.match(shown, /CA:TRUE, pathlen:0/)
    assert.match(shown, /Digital Signature, Certificate Sign/)
    assert.match(shown, new RegExp(algorithm))
    assert.equal(certificateParts(certificate).version, 3)
  })
}

test('a certificate without authority may not issue', () => {
  const [, [, issuerKey]] = keys as [(typeof keys)[0], (typeof keys)[1]]
  const common = { issuerKey, notBefore, notAfter, usage: ['digitalSignature'] } as const
  const leaf = makeCertificate({ ...common, subject: [['CN', 'leaf']], key: issuerKey, issuer: 'self' })
  assert.equal(new X509Certificate(leaf).ca, false)
})
