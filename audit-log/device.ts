/** Whose audit file it is: the device certificate that its first line carries. */
import { X509Certificate } from 'node:crypto'
import { HSM_URI } from '../provider-schema/party-names.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/**
 * The first certificate of a PEM text, if it is this HSM's and the others lead from it to the root. Undefined otherwise.
 * Dates are not looked at: a log is read long after it was written.
 */
export function certifiedDevice(pem: string, hsmId: string, root: X509Certificate): X509Certificate | undefined {
  try {
    const chain = (pem.match(CERTIFICATE) ?? []).map((text) => new X509Certificate(text))
    const [device] = chain
    if (device?.subjectAltName !== `URI:${HSM_URI}${hsmId}`) return undefined
    const holds = [...chain, root].every((link, i, all) => {
      const issuer = all[i + 1]
      return !issuer || link.raw.equals(issuer.raw) || issued(issuer, link)
    })
    return holds ? device : undefined
  } catch {
    return undefined
  }
}

const issued = (issuer: X509Certificate, certificate: X509Certificate) =>
  issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
