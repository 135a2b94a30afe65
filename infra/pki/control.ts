/** Credentials of the control plane's processes: made at their start, kept in memory, never written. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { issueCertificate, nameOf } from './certificate.ts'
import { loadAuthority, type Fleet } from './fleet.ts'
import { controlUri } from '../../provider-schema/party-names.ts'

export interface ControlIdentity {
  readonly key: KeyObject
  /** The same key for node:tls, which takes PEM only. */
  readonly keyPem: string
  /** PEM: this process's certificate, then the control CA. */
  readonly chain: string
}

const VALID_DAYS = 365

/**
 * A new key and certificate for `urn:strongroom:control:<name>`, good on both ends of TLS, for a year: a process that
 * runs longer must be restarted. Loads the control CA for as long as that takes.
 */
export async function issueControl(fleet: Pick<Fleet, 'dir'>, name: string): Promise<ControlIdentity> {
  const ca = await loadAuthority(fleet, 'control-ca')
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const certificate = issueCertificate(
    {
      subject: nameOf(`control ${name}`),
      publicKey,
      notBefore: new Date(Date.now() - 300_000),
      notAfter: new Date(Date.now() + VALID_DAYS * 86_400_000),
      digitalSignature: true,
      tlsPurposes: true,
      uri: controlUri(name),
    },
    ca,
  )
  return {
    key: privateKey,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    chain: certificate + ca.certificate,
  }
}
