/** Reading a certificate request (PKCS #10, RFC 2986) and making sure that who sent it has the key. */
import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { DerError, fromPem, oid, readElements, readOne, TAG, type DerNode } from './der.ts'

export interface ParsedRequest {
  readonly publicKey: KeyObject
  /** Of the subject; undefined when it names none, or several. */
  readonly commonName: string | undefined
  /** URIs of the subjectAltName that is asked for. */
  readonly uris: readonly string[]
}

/** Signature algorithms of RFC 5758 §3.2, by DER-encoded OID in hexadecimal. */
const ECDSA_DIGESTS: ReadonlyMap<string, string> = new Map(
  [
    ['1.2.840.10045.4.3.2', 'sha256'],
    ['1.2.840.10045.4.3.3', 'sha384'],
    ['1.2.840.10045.4.3.4', 'sha512'],
  ].map(([type = '', digest = '']) => [oid(type).toString('hex'), digest]),
)
const COMMON_NAME = oid('2.5.4.3')
const EXTENSION_REQUEST = oid('1.2.840.113549.1.9.14')
const SUBJECT_ALT_NAME = oid('2.5.29.17')
/** GeneralName [6]: uniformResourceIdentifier. */
const URI_TAG = 0x86

/** Throws when it is not a request, or its signature is not by the key that it carries. Elliptic curve keys only. */
export function readRequest(pem: string): ParsedRequest {
  const [info, algorithm, signature] = readElements(readOne(fromPem(pem, 'CERTIFICATE REQUEST'), TAG.sequence).content)
  if (!info || algorithm?.tag !== TAG.sequence || signature?.tag !== TAG.bitString) {
    throw new DerError('not a certificate request')
  }
  const [, subject, spki, attributes] = readElements(info.content)
  if (!subject || !spki) throw new DerError('not a certificate request')
  const publicKey = createPublicKey({ key: spki.whole, format: 'der', type: 'spki' })
  const digest = ECDSA_DIGESTS.get(readElements(algorithm.content)[0]?.whole.toString('hex') ?? '')
  if (publicKey.asymmetricKeyType !== 'ec' || digest === undefined) {
    throw new DerError('the certificate request is not signed with ECDSA')
  }
  // A bit string says first how many bits of its last byte are unused: of a signature none are (X.690 §8.6.2).
  if (signature.content[0] !== 0) throw new DerError('not a certificate request')
  if (!verify(digest, info.whole, publicKey, signature.content.subarray(1))) {
    throw new DerError('the certificate request is not signed by the key in it')
  }
  return {
    publicKey,
    commonName: commonNameOf(subject),
    uris: attributes ? urisOf(attributes) : [],
  }
}

function commonNameOf(name: DerNode): string | undefined {
  const found = readElements(name.content)
    .flatMap((part) => readElements(part.content))
    .map((pair) => readElements(pair.content))
    .filter(([type]) => type?.whole.equals(COMMON_NAME))
  return found.length === 1 ? found[0]?.[1]?.content.toString() : undefined
}

function urisOf(attributes: DerNode): string[] {
  const extensions = readElements(attributes.content)
    .map((attribute) => readElements(attribute.content))
    .filter(([type]) => type?.whole.equals(EXTENSION_REQUEST))
    .flatMap(([, values]) => (values ? readElements(values.content) : []))
    .flatMap((list) => readElements(list.content))
    .map((extension) => readElements(extension.content))
  return extensions
    .filter(([type]) => type?.whole.equals(SUBJECT_ALT_NAME))
    .flatMap((parts) => {
      const value = parts.at(-1)
      return value?.tag === TAG.octetString ? readElements(readOne(value.content, TAG.sequence).content) : []
    })
    .filter((name) => name.tag === URI_TAG)
    .map((name) => name.content.toString())
}
