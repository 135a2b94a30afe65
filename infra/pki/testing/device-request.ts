/** A device key and its certificate request as an HSM makes them, by the openssl program. */
import { execFileSync } from 'node:child_process'

export interface DeviceRequest {
  /** PEM. */
  readonly csr: string
  readonly key: string
}

/** P-256, CN=<hsmId>, SAN urn:strongroom:hsm:<hsmId>, unless told otherwise. */
export function deviceRequest(
  hsmId: string,
  { uri = `urn:strongroom:hsm:${hsmId}`, curve = 'P-256' } = {},
): DeviceRequest {
  const pem = execFileSync(
    'openssl',
    [
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${curve}`, '-nodes'],
      ...['-subj', `/CN=${hsmId}`, '-addext', `subjectAltName=URI:${uri}`, '-keyout', '-', '-out', '-'],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const at = pem.indexOf('-----BEGIN CERTIFICATE REQUEST-----')
  return { csr: pem.slice(at), key: pem.slice(0, at) }
}
