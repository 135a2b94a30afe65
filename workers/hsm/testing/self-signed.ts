/** A throw-away self-signed certificate, for tests that need TLS and no fleet. */
import { execFileSync } from 'node:child_process'

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string
  readonly privateKey: string
}

/** A new EC P-256 key and its own certificate over it, for a day, by the `openssl` program. */
export function selfSigned(commonName: string): SelfSigned {
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  const pem = execFileSync('openssl', [...args, '-subj', `/CN=${commonName}`, '-keyout', '-', '-out', '-'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const at = pem.indexOf('-----BEGIN CERTIFICATE-----')
  return { certificate: pem.slice(at), privateKey: pem.slice(0, at) }
}
