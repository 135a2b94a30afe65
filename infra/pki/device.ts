/** Certificates for HSMs: one device key, certified by two CAs. */
import { X509Certificate } from 'node:crypto'
import type { HsmId } from '../../provider-schema/ids.ts'
import { issueCertificate, nameOf, type Issuer } from './certificate.ts'
import { readRequest } from './certificate-request.ts'
import { loadAuthority, type Fleet } from './fleet.ts'
import { hsmUri } from '../../provider-schema/party-names.ts'

/** PEM, each ending in a newline. */
export interface IssuedDevice {
  readonly awsHardwareCertificate: string
  readonly manufacturerHardwareCertificate: string
  /** `manufacturerHardwareCertificate`, then the manufacturer CA. */
  readonly deviceChain: string
  /** `awsHardwareCertificate`, then the provider CA. */
  readonly providerChain: string
}

export interface DeviceIssuer {
  /** Throws when the request is not by the key in it, or not for this HSM. */
  issueDevice(csrPem: string, hsmId: HsmId): IssuedDevice
}

/** Loads manufacturer CA and provider CA, nothing else. */
export async function loadDeviceIssuer(fleet: Pick<Fleet, 'dir'>): Promise<DeviceIssuer> {
  const [manufacturer, provider] = await Promise.all([
    loadAuthority(fleet, 'manufacturer-ca'),
    loadAuthority(fleet, 'provider-ca'),
  ])
  return {
    issueDevice: (csrPem, hsmId) => {
      const { publicKey, commonName, uris } = readRequest(csrPem)
      if (commonName !== hsmId || uris.length !== 1 || uris[0] !== hsmUri(hsmId)) {
        throw new Error(`the certificate request is not for ${hsmId}`)
      }
      const certify = (ca: Issuer) =>
        issueCertificate(
          {
            // The same in both, so that what the device key signs verifies through either.
            subject: nameOf(hsmId),
            publicKey,
            notBefore: new Date(Date.now() - 300_000),
            notAfter: new X509Certificate(ca.certificate).validToDate,
            pathLength: 0,
            digitalSignature: true,
            uri: hsmUri(hsmId),
          },
          ca,
        )
      const manufacturerHardwareCertificate = certify(manufacturer)
      const awsHardwareCertificate = certify(provider)
      return {
        awsHardwareCertificate,
        manufacturerHardwareCertificate,
        deviceChain: manufacturerHardwareCertificate + manufacturer.certificate,
        providerChain: awsHardwareCertificate + provider.certificate,
      }
    },
  }
}
