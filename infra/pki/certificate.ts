/** Making X.509 certificates (RFC 5280): ECDSA with SHA-384 throughout. */
import { createHash, createPublicKey, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto'
import {
  bitString,
  boolean,
  context,
  contextPrimitive,
  DerError,
  integer,
  octetString,
  oid,
  readElements,
  readOne,
  sequence,
  set,
  TAG,
  time,
  toPem,
  utf8String,
} from './der.ts'

const ECDSA_WITH_SHA384 = sequence(oid('1.2.840.10045.4.3.3'))

const OIDS = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

/** Every name says what this is: software, and not certified (design §1.6). */
export function nameOf(commonName: string): Buffer {
  const part = (type: string, value: string) => set(sequence(oid(type), utf8String(value)))
  return sequence(
    part(OIDS.organization, 'Strongroom'),
    part(OIDS.organizationalUnit, 'software - no FIPS certificate'),
    part(OIDS.commonName, commonName),
  )
}

/** Who signs: a CA's certificate and its private key. */
export interface Issuer {
  /** PEM. */
  readonly certificate: string
  readonly key: KeyObject
}

export interface CertificateRequest {
  /** DER Name, as from `nameOf`. */
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly notBefore: Date
  readonly notAfter: Date
  /** A CA with at most so many CAs below it; left out: not a CA. */
  readonly pathLength?: number
  /** An end entity or a CA that also shakes hands itself. */
  readonly digitalSignature?: boolean
  /** Both ends of TLS. */
  readonly tlsPurposes?: boolean
  /** subjectAltName: one URI. */
  readonly uri?: string
}

/** Issues a certificate, PEM ending in a newline. `selfSigned` is a key instead of an issuer: the root's own. */
export function issueCertificate(request: CertificateRequest, by: Issuer | { readonly selfSigned: KeyObject }): string {
  const { issuerName, issuerPublicKey, key } =
    'selfSigned' in by
      ? { issuerName: request.subject, issuerPublicKey: request.publicKey, key: by.selfSigned }
      : {
          issuerName: subjectOf(by.certificate),
          issuerPublicKey: createPublicKey(by.certificate),
          key: by.key,
        }
  const body = sequence(
    context(0, integer(Buffer.from([2]))),
    integer(newSerial()),
    ECDSA_WITH_SHA384,
    issuerName,
    sequence(time(request.notBefore), time(request.notAfter)),
    request.subject,
    spkiOf(request.publicKey),
    context(3, sequence(...extensionsOf(request, issuerPublicKey))),
  )
  return toPem(sequence(body, ECDSA_WITH_SHA384, bitString(sign('sha384', body, key))), 'CERTIFICATE')
}

/** 127 random bits: unpredictable (CA/B BR §7.1) and positive. */
function newSerial(): Buffer {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  return serial
}

function extensionsOf(request: CertificateRequest, issuerPublicKey: KeyObject): Buffer[] {
  const isCa = request.pathLength !== undefined
  const extensions = [
    extension(
      OIDS.basicConstraints,
      true,
      isCa ? sequence(boolean(true), integer(Buffer.from([request.pathLength]))) : sequence(),
    ),
    extension(
      OIDS.keyUsage,
      true,
      keyUsage({ keyCertSign: isCa, digitalSignature: request.digitalSignature === true }),
    ),
    extension(OIDS.subjectKeyIdentifier, false, octetString(keyIdentifier(request.publicKey))),
    extension(OIDS.authorityKeyIdentifier, false, sequence(contextPrimitive(0, keyIdentifier(issuerPublicKey)))),
  ]
  if (request.tlsPurposes) {
    extensions.push(extension(OIDS.extendedKeyUsage, false, sequence(oid(OIDS.serverAuth), oid(OIDS.clientAuth))))
  }
  if (request.uri !== undefined) {
    extensions.push(extension(OIDS.subjectAltName, false, sequence(contextPrimitive(6, Buffer.from(request.uri)))))
  }
  return extensions
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value))
}

/** RFC 5280 §4.2.1.3: bit 0 digitalSignature, bit 5 keyCertSign, bit 6 cRLSign. */
function keyUsage(usage: { keyCertSign: boolean; digitalSignature: boolean }): Buffer {
  const bits = (usage.digitalSignature ? 0x80 : 0) | (usage.keyCertSign ? 0x06 : 0)
  return bitString(Buffer.from([bits]), usage.keyCertSign ? 1 : 7)
}

function spkiOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' })
}

/** RFC 7093 §2, method 1: 160 bits of the SHA-256 of the public key. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const [, key] = readElements(readOne(spkiOf(publicKey), TAG.sequence).content)
  if (key?.tag !== TAG.bitString) throw new DerError('not a SubjectPublicKeyInfo')
  return createHash('sha256').update(key.content.subarray(1)).digest().subarray(0, 20)
}

/** A certificate's subject, byte for byte: it must be the issuer of what the certificate's key signs. */
function subjectOf(certificate: string): Buffer {
  const [body] = readElements(readOne(new X509Certificate(certificate).raw, TAG.sequence).content)
  // version [0], serialNumber, signature, issuer, validity, subject
  const subject = body && readElements(body.content)[5]
  if (subject?.tag !== TAG.sequence) throw new DerError('not a certificate of version 3')
  return subject.whole
}
