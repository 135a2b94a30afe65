/** Certificate requests (RFC 2986) and certificates (RFC 5280) for EC and RSA keys. */
import { createHash, createPublicKey, randomBytes, sign, type KeyObject, type X509Certificate } from 'node:crypto'
import {
  bitString,
  boolean,
  element,
  elements,
  explicit,
  implicit,
  integer,
  octetString,
  oid,
  sequence,
  set,
  TAG,
  text,
  time,
} from './der.ts'

const OID = {
  C: '2.5.4.6',
  ST: '2.5.4.8',
  L: '2.5.4.7',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  CN: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extensionRequest: '1.2.840.113549.1.9.14',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
} as const

/** Parts of a distinguished name in their order. */
export type Name = readonly (readonly ['C' | 'ST' | 'L' | 'O' | 'OU' | 'CN', string])[]

/** Bits of the keyUsage extension (RFC 5280 §4.2.1.3). */
const KEY_USAGE = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const
export type KeyUsage = keyof typeof KEY_USAGE

export interface RequestOptions {
  readonly subject: Name
  /** The private key whose public half is to be certified. */
  readonly key: KeyObject
  /** Subject alternative name of type URI. */
  readonly uri?: string
}

/** A certificate request, PEM. */
export function makeRequest({ subject, key, uri }: RequestOptions): string {
  const attributes = uri === undefined ? [] : [sequence(oid(OID.extensionRequest), set(sequence(subjectUri(uri))))]
  const info = sequence(integer(0), name(subject), spkiOf(key), explicit(0, ...attributes))
  return pem('CERTIFICATE REQUEST', signed(info, key))
}

export interface CertificateOptions {
  readonly subject: Name
  /** The key that is certified, or a private key with it as its public half. */
  readonly key: KeyObject
  /** Who issues: its certificate, or the subject's own name when it certifies itself. */
  readonly issuer: X509Certificate | 'self'
  readonly issuerKey: KeyObject
  readonly notBefore: Date
  readonly notAfter: Date
  /** May itself issue; `pathLength` is how many authorities may stand below it. */
  readonly authority?: { readonly pathLength?: number }
  readonly usage: readonly KeyUsage[]
  readonly uri?: string
}

/** A certificate with a random serial number, PEM. */
export function makeCertificate(options: CertificateOptions): string {
  const { issuer, issuerKey } = options
  const serial = randomBytes(16)
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40)
  const authorityKeyId = issuer === 'self' ? keyIdentifier(issuerKey) : subjectKeyIdentifierOf(issuer)
  const extensions = [
    basicConstraints(options.authority),
    extension(OID.keyUsage, true, keyUsage(options.usage)),
    extension(OID.subjectKeyIdentifier, false, octetString(keyIdentifier(options.key))),
    ...(authorityKeyId ? [extension(OID.authorityKeyIdentifier, false, sequence(implicit(0, authorityKeyId)))] : []),
    ...(options.uri === undefined ? [] : [subjectUri(options.uri)]),
  ]
  const body = sequence(
    explicit(0, integer(2)),
    integer(serial),
    signatureAlgorithm(issuerKey).identifier,
    issuer === 'self' ? name(options.subject) : certificateParts(issuer).subject,
    sequence(time(options.notBefore), time(options.notAfter)),
    name(options.subject),
    spkiOf(options.key),
    explicit(3, sequence(...extensions)),
  )
  return pem('CERTIFICATE', signed(body, issuerKey))
}

/** What node:crypto does not tell of a certificate. */
export interface CertificateParts {
  /** The subject, DER as it stands in the certificate. */
  readonly subject: Buffer
  /** Version 1 knows no extensions. */
  readonly version: 1 | 3
  /** Contents of extensions by dotted identifier, DER. */
  extension(dotted: string): Buffer | undefined
}

/** Takes a certificate apart that node:crypto has accepted. */
export function certificateParts(certificate: X509Certificate): CertificateParts {
  const [whole] = elements(certificate.raw)
  const [body] = elements(whole?.content ?? Buffer.alloc(0))
  const fields = elements(body?.content ?? Buffer.alloc(0))
  const versioned = fields[0]?.tag === explicit(0).readUInt8(0)
  // [version], serial, algorithm, issuer, validity, subject, key, …, [3] extensions
  const subject = fields[versioned ? 5 : 4]
  if (!subject) throw new RangeError('a certificate without a subject')
  const wrapper = fields.find(({ tag }) => tag === explicit(3).readUInt8(0))
  const extensions = elements(elements(wrapper?.content ?? Buffer.alloc(0))[0]?.content ?? Buffer.alloc(0))
  return {
    subject: subject.whole,
    version: versioned ? 3 : 1,
    extension(dotted) {
      const wanted = oid(dotted)
      const parts = extensions.map(({ content }) => elements(content)).find(([id]) => id?.whole.equals(wanted))
      return parts?.at(-1)?.content
    },
  }
}

/** The public key in a certificate request. The request's own signature is not checked. */
export function publicKeyOfRequest(request: string): KeyObject {
  const der = Buffer.from(request.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  const [whole] = elements(der)
  const [info] = elements(whole?.content ?? Buffer.alloc(0))
  const spki = elements(info?.content ?? Buffer.alloc(0))[2]
  if (!spki) throw new RangeError('a certificate request without a key')
  return createPublicKey({ key: spki.whole, format: 'der', type: 'spki' })
}

/** Whether two keys have the same public half. */
export function samePublicKey(one: KeyObject, other: KeyObject): boolean {
  return spkiOf(one).equals(spkiOf(other))
}

/** SubjectPublicKeyInfo of a public or private key, DER. */
function spkiOf(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' })
}

function name(parts: Name): Buffer {
  return sequence(...parts.map(([attribute, value]) => set(sequence(oid(OID[attribute]), text(value)))))
}

function signed(body: Buffer, key: KeyObject): Buffer {
  const { identifier, hash } = signatureAlgorithm(key)
  return sequence(body, identifier, bitString(sign(hash, body, key)))
}

function signatureAlgorithm(key: KeyObject): { identifier: Buffer; hash: string } {
  if (key.asymmetricKeyType === 'rsa') {
    return { identifier: sequence(oid(OID.sha256WithRsa), element(0x05)), hash: 'sha256' }
  }
  const strong = key.asymmetricKeyDetails?.namedCurve === 'secp384r1'
  return strong
    ? { identifier: sequence(oid(OID.ecdsaWithSha384)), hash: 'sha384' }
    : { identifier: sequence(oid(OID.ecdsaWithSha256)), hash: 'sha256' }
}

function extension(id: string, critical: boolean, content: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(content))
}

function basicConstraints(authority: CertificateOptions['authority']): Buffer {
  const length = authority?.pathLength
  const content = authority ? [boolean(true), ...(length === undefined ? [] : [integer(length)])] : []
  return extension(OID.basicConstraints, true, sequence(...content))
}

function keyUsage(usages: readonly KeyUsage[]): Buffer {
  const bits = usages.map((usage) => KEY_USAGE[usage])
  const byte = bits.reduce<number>((sum, bit) => sum | (0x80 >> bit), 0)
  return bitString(Buffer.from([byte]), 7 - Math.max(...bits))
}

function subjectUri(uri: string): Buffer {
  return extension(OID.subjectAltName, false, sequence(implicit(6, Buffer.from(uri))))
}

/** SHA-1 of the key's bits (RFC 5280 §4.2.1.2, method 1): a name for the key, not a protection. */
function keyIdentifier(key: KeyObject): Buffer {
  const [whole] = elements(spkiOf(key))
  const bits = elements(whole?.content ?? Buffer.alloc(0)).find(({ tag }) => tag === TAG.bitString)
  return createHash('sha1')
    .update(bits?.content.subarray(1) ?? Buffer.alloc(0))
    .digest()
}

function subjectKeyIdentifierOf(issuer: X509Certificate): Buffer | undefined {
  const content = certificateParts(issuer).extension(OID.subjectKeyIdentifier)
  return content && elements(content)[0]?.content
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
