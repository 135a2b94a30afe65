/** What a trust anchor for clients' certificates must be, and which certificates lead to one (data-plane reference §7). */
import type { KeyObject, X509Certificate } from 'node:crypto'
import { certificatesOf, isCurrent, issued } from '../identity/trust.ts'
import { HsmError } from '../protocol/errors.ts'

/** Published limit of a chain, in bytes of PEM. */
export const MAX_CHAIN_BYTES = 6_980
const RSA_BITS: readonly (number | undefined)[] = [2048, 3072, 4096]
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1']
const OTHER_PEM = /-----BEGIN (?!CERTIFICATE-----)/
/** Between a client's certificate and the anchor. */
const MAX_INTERMEDIATES = 5

/** The issuing authority first, its root last. */
export type AnchorChain = readonly [X509Certificate, ...X509Certificate[]]

/** Reads and checks what somebody wants to register. Throws CertificateInvalid, which names the rule. */
export function readAnchor(pem: string): AnchorChain {
  const bytes = Buffer.byteLength(pem)
  if (bytes > MAX_CHAIN_BYTES) throw invalid(`it has ${bytes} bytes, and at most ${MAX_CHAIN_BYTES} are allowed`)
  if (OTHER_PEM.test(pem)) throw invalid('the file holds something besides certificates')
  const chain = certificatesOf(pem)
  for (const [i, certificate] of chain.entries()) {
    const which = chain.length > 1 ? `certificate ${i + 1}` : 'the certificate'
    requireKey(certificate.publicKey, which)
    if (!certificate.ca) throw invalid(`${which} is not of a certificate authority`)
    if (!isCurrent(certificate)) throw invalid(`${which} is not valid now`)
    // A root issued itself.
    if (!issued(chain[i + 1] ?? certificate, certificate)) {
      throw invalid(
        chain[i + 1]
          ? `${which} was not issued by the one behind it: the issuing authority comes first, its root last`
          : 'it does not end in a self-signed root: give the whole chain in one file, the issuing authority first',
      )
    }
  }
  return chain
}

function requireKey(key: KeyObject, which: string): void {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
  const fits =
    key.asymmetricKeyType === 'rsa'
      ? RSA_BITS.includes(modulusLength)
      : key.asymmetricKeyType === 'ec' && CURVES.includes(namedCurve)
  if (!fits) throw invalid(`${which} must have a key of RSA 2048, 3072 or 4096 bits, or on P-256, P-384 or P-521`)
}

/** Whether a client's certificate, with what it sent behind it, leads to the anchor. All must be valid now. */
export function leadsTo(anchor: AnchorChain, certificate: X509Certificate): boolean {
  const [authority] = anchor
  if (!anchor.every((link) => isCurrent(link))) return false
  let at: X509Certificate | undefined = certificate
  for (let depth = 0; at && depth <= MAX_INTERMEDIATES; depth++) {
    if (!isCurrent(at)) return false
    if (issued(authority, at)) return true
    const above: X509Certificate | undefined = at.issuerCertificate
    at = above && issued(above, at) ? above : undefined
  }
  return false
}

function invalid(why: string): HsmError {
  return new HsmError('CertificateInvalid', `this trust anchor cannot be registered: ${why}`)
}
