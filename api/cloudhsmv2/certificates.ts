/**
 * The two certificates of InitializeCluster: is SignedCert a certificate for this cluster's CSR, and did TrustAnchor
 * issue it? Checks are those of RFC 5280 §6 that matter with one leaf and a short chain. All parsing is OpenSSL's, but for
 * the CSR, which node:crypto cannot read.
 */
import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import { invalidRequest } from '../../provider-schema/errors.ts'

export interface SubmittedCertificates {
  /** PEM, as DescribeClusters showed it. */
  readonly csr: string
  /** PEM; exactly one certificate. */
  readonly signedCert: string
  /** PEM; a self-signed root, or a chain of at most MOST_ANCHORS that ends in one. */
  readonly trustAnchor: string
  readonly now: Date
}

const MOST_ANCHORS = 4
/** A certificate that was signed a moment ago on a machine whose clock is ahead is not refused. */
const CLOCK_MS = 5 * 60_000

/**
 * Both as PEM ending in a newline. Throws CloudHsmInvalidRequestException with the reason when a client that trusts the
 * anchor could not verify the cluster.
 */
export async function checkedCertificates(
  submitted: SubmittedCertificates,
): Promise<{ clusterCertificate: string; trustAnchor: string }> {
  const [signed, ...more] = parse(submitted.signedCert, 'SignedCert')
  if (!signed || more.length > 0) throw invalidRequest('SignedCert must hold exactly one certificate.')
  const anchors = parse(submitted.trustAnchor, 'TrustAnchor')
  if (anchors.length > MOST_ANCHORS) {
    throw invalidRequest(`TrustAnchor must hold at most ${MOST_ANCHORS} certificates.`)
  }
  const csrKey = await publicKeyOf(submitted.csr)
  if (!csrKey.equals(signed.publicKey)) {
    throw invalidRequest("SignedCert is not for this cluster: its public key is not that of the cluster's CSR.")
  }
  requireCurrent(signed, 'SignedCert', submitted.now)
  await requireServer(signed)
  for (const anchor of anchors) await requireAuthority(anchor, submitted.now)
  requireIssued(signed, anchors)
  return { clusterCertificate: signed.toString(), trustAnchor: anchors.map(String).join('') }
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

function parse(pem: string, member: string): X509Certificate[] {
  const blocks = pem.match(PEM) ?? []
  if (blocks.length === 0) throw invalidRequest(`${member} is not a certificate in PEM.`)
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch (error) {
    throw invalidRequest(`${member} is not a certificate in PEM.`, { cause: error })
  }
}

/** Loaded when it is needed, since the API starts faster without it; the library itself needs the polyfill before it. */
async function x509() {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

async function publicKeyOf(csr: string): Promise<KeyObject> {
  const { Pkcs10CertificateRequest } = await x509()
  const { publicKey } = new Pkcs10CertificateRequest(csr)
  return createPublicKey({ key: Buffer.from(publicKey.rawData), format: 'der', type: 'spki' })
}

function requireCurrent(certificate: X509Certificate, member: string, now: Date): void {
  if (certificate.validFromDate.getTime() > now.getTime() + CLOCK_MS) {
    throw invalidRequest(`${member} is not valid before ${certificate.validFromDate.toISOString()}.`)
  }
  if (certificate.validToDate.getTime() < now.getTime()) {
    throw invalidRequest(`${member} expired on ${certificate.validToDate.toISOString()}.`)
  }
}

/** RSA moduli in bits and curves that an anchor may have (user guide, "Initialize the cluster"). */
const RSA_BITS = [2048, 3072, 4096]
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1']

async function requireAuthority(anchor: X509Certificate, now: Date): Promise<void> {
  requireCurrent(anchor, 'TrustAnchor', now)
  const { asymmetricKeyType, asymmetricKeyDetails } = anchor.publicKey
  const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails ?? {}
  const fits =
    (asymmetricKeyType === 'rsa' && RSA_BITS.includes(modulusLength)) ||
    (asymmetricKeyType === 'ec' && CURVES.includes(namedCurve))
  if (!fits) throw invalidRequest('TrustAnchor must have an RSA key of 2048, 3072 or 4096 bits or a NIST curve.')
  // A certificate of version 1 has no extensions and says nothing about what it may sign.
  if (!anchor.ca && (await extensionsOf(anchor)).length > 0) {
    throw invalidRequest('TrustAnchor must be the certificate of a CA: its basic constraints do not say CA:TRUE.')
  }
  await requireFitForTls(anchor, 'TrustAnchor')
}

/** Key usages of which a TLS server's certificate needs one, if it limits them (OpenSSL, purpose sslserver). */
const OF_SERVERS = ['digitalSignature', 'keyEncipherment', 'keyAgreement'] as const

/** There is no second try: a cluster whose certificate every client refuses could never be activated. */
async function requireServer(signed: X509Certificate): Promise<void> {
  await requireFitForTls(signed, 'SignedCert')
  const { KeyUsagesExtension, KeyUsageFlags } = await x509()
  const limits = (await extensionsOf(signed)).find((extension) => extension instanceof KeyUsagesExtension)
  if (!limits || OF_SERVERS.some((usage) => (limits.usages & KeyUsageFlags[usage]) !== 0)) return
  throw invalidRequest(
    'SignedCert cannot be a server certificate: its key usage has neither digitalSignature nor keyEncipherment.',
  )
}

const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1'
/** RFC 5280 §4.2: key usage, names, constraints, distribution points, policies, extended key usage. */
const KNOWN_EXTENSIONS = ['15', '17', '19', '30', '31', '32', '33', '36', '37', '54'].map((last) => `2.5.29.${last}`)

/** What OpenSSL and those like it refuse of a certificate in a server's chain, whoever trusts it. */
async function requireFitForTls(certificate: X509Certificate, member: string): Promise<void> {
  const { signatureAlgorithm = '' } = certificate
  // Nobody verifies a root by its own signature.
  if (/sha-?1(?!\d)|md[245]/i.test(signatureAlgorithm) && !isIssuer(certificate, certificate)) {
    throw invalidRequest(`${member} is signed with ${signatureAlgorithm}, which clients refuse: use SHA-256 or longer.`)
  }
  const { ExtendedKeyUsageExtension } = await x509()
  const extensions = await extensionsOf(certificate)
  const purposes = extensions.find((extension) => extension instanceof ExtendedKeyUsageExtension)
  if (purposes && !purposes.usages.some((usage) => usage === SERVER_AUTHENTICATION)) {
    throw invalidRequest(`${member} is not for servers: its extended key usage does not have serverAuth.`)
  }
  const unknown = extensions.find(({ critical, type }) => critical && !KNOWN_EXTENSIONS.includes(type))
  if (unknown) throw invalidRequest(`${member} has a critical extension that clients do not know: ${unknown.type}.`)
}

async function extensionsOf(certificate: X509Certificate) {
  const { X509Certificate: Parsed } = await x509()
  return new Parsed(certificate.raw).extensions
}

/** Follows the issuers from the leaf up to a self-signed one. */
function requireIssued(signed: X509Certificate, anchors: readonly X509Certificate[]): void {
  const unused = new Set(anchors)
  let current = signed
  for (;;) {
    const issuer = [...unused].find((anchor) => isIssuer(current, anchor))
    if (!issuer) {
      throw invalidRequest(
        current === signed
          ? 'SignedCert was not issued by TrustAnchor.'
          : 'TrustAnchor must be a self-signed certificate, or a chain that ends in one.',
      )
    }
    if (isIssuer(issuer, issuer)) return
    unused.delete(issuer)
    current = issuer
  }
}

/** By name, key identifier, key usage and signature. */
function isIssuer(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}
