/** Who a certificate stands for, and who vouches for it. */
import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { CONTROL_URI, HSM_URI } from '../../../provider-schema/party-names.ts'
import { HsmError } from '../protocol/errors.ts'
import { certificateParts } from './certificate.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** The HSM that a device certificate stands for; undefined when it is for something else. */
export const hsmOf = (certificate: X509Certificate) => named(certificate, HSM_URI)
/** The part of the control plane that a certificate stands for. */
export const controlOf = (certificate: X509Certificate) => named(certificate, CONTROL_URI)

/** Certificates of a PEM text in their order. Throws HsmError CertificateInvalid when there is none or one is none. */
export function certificatesOf(pem: string): [X509Certificate, ...X509Certificate[]] {
  try {
    const [first, ...rest] = (pem.match(CERTIFICATE) ?? []).map((text) => new X509Certificate(text))
    if (first) return [first, ...rest]
  } catch (cause) {
    throw new HsmError('CertificateInvalid', 'a certificate cannot be read', { cause })
  }
  throw new HsmError('CertificateInvalid', 'there is no PEM certificate')
}

/** Whether `issuer` may issue certificates and issued this one. Dates are not looked at. */
export function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return mayIssue(issuer) && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

/** Whether now lies in the certificate's validity, clocks being off by a few minutes at most. */
export function isCurrent(certificate: X509Certificate, now = Date.now()): boolean {
  const skew = 5 * 60_000
  return certificate.validFromDate.getTime() - skew <= now && now <= certificate.validToDate.getTime() + skew
}

/**
 * TLS options of a port whose callers hold certificates by one authority of the fleet (PEM, as the root). A Node server
 * ignores `allowPartialTrustChain` (26.10), so the chain must reach the root, and `peerIssuedBy` tells the authority.
 */
export function callersFrom(root: string, authority: string): { ca: string[]; requestCert: true } {
  return { ca: [root, authority], requestCert: true }
}

/**
 * The certificate that the other side of a connection proved to have. Throws PermissionDenied when there is none or
 * another authority issued it.
 */
export function peerIssuedBy(authority: X509Certificate, socket: TLSSocket): X509Certificate {
  const certificate = socket.getPeerX509Certificate()
  if (!certificate) throw new HsmError('PermissionDenied', 'the other side showed no certificate')
  if (!issued(authority, certificate)) {
    throw new HsmError('PermissionDenied', "the other side's certificate comes from another authority")
  }
  return certificate
}

/** Basic constraints, or version 1, which has no extensions to say it with (data-plane §7). */
function mayIssue(certificate: X509Certificate): boolean {
  return certificate.ca || certificateParts(certificate).version === 1
}

function named(certificate: X509Certificate, prefix: string): string | undefined {
  const names = (certificate.subjectAltName ?? '').split(', ').filter((name) => name.startsWith(`URI:${prefix}`))
  return names.length === 1 ? names[0]?.slice(`URI:${prefix}`.length) : undefined
}
