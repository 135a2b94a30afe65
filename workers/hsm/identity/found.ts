/** Making a cluster's identity, and giving it the certificate that the customer's CA signed. */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { HsmError } from '../protocol/errors.ts'
import { makeCertificate, makeRequest, samePublicKey, type Name } from './certificate.ts'
import { clusterKeyOf, newMaskingKey, type IdentityRecord } from './cluster-identity.ts'
import type { Device } from './device.ts'
import { certificatesOf, isCurrent, issued } from './trust.ts'

const generate = promisify(generateKeyPair)

/** Of a trust anchor given as a chain, the root included; AWS's limit (data-plane §7). */
const MAX_ANCHOR_CERTIFICATES = 4

export interface FoundOptions {
  readonly clusterId: string
  readonly mode: 'FIPS' | 'NON_FIPS'
  readonly hsmType: string
}

/** A new cluster: RSA-2048 cluster key, its CSR and HsmCertificate, masking key. */
export async function foundCluster(device: Device, options: FoundOptions): Promise<IdentityRecord & { csr: string }> {
  const { privateKey } = await generate('rsa', { modulusLength: 2048 })
  const subject = clusterSubject(device.hsmId, options.mode)
  return {
    ...options,
    maskingKey: newMaskingKey(),
    clusterKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
    csr: makeRequest({ subject, key: privateKey }),
    hsmCertificate: hsmCertificate(device, privateKey, subject),
  }
}

/**
 * The identity with its certificate installed. Throws CertificateInvalid when the certificate is not for the cluster
 * key, is out of date, or the trust anchor (a root, or a chain with the issuer first) did not issue it.
 */
export function withCertificate(
  identity: IdentityRecord,
  { clusterCertificate, trustAnchor }: { readonly clusterCertificate: string; readonly trustAnchor: string },
): IdentityRecord {
  const [certificate] = certificatesOf(clusterCertificate)
  if (!samePublicKey(certificate.publicKey, clusterKeyOf(identity))) {
    throw new HsmError('CertificateInvalid', 'the cluster certificate is not for the key of the cluster CSR')
  }
  const anchors = certificatesOf(trustAnchor)
  if (anchors.length > MAX_ANCHOR_CERTIFICATES) {
    throw new HsmError('CertificateInvalid', `a trust anchor has at most ${MAX_ANCHOR_CERTIFICATES} certificates`)
  }
  const chain = [certificate, ...anchors]
  for (const [i, link] of chain.entries()) {
    const issuer = chain[i + 1] ?? link
    if (!issued(issuer, link)) {
      const [what, by] = i === 0 ? ['the cluster certificate', 'by the trust anchor'] : anchorFault(i, anchors.length)
      throw new HsmError('CertificateInvalid', `${what} was not issued ${by}`)
    }
    if (!isCurrent(link)) {
      const which = i === 0 ? 'the cluster certificate' : 'the trust anchor'
      throw new HsmError('CertificateInvalid', `${which} is not valid now (${link.validFrom} to ${link.validTo})`)
    }
  }
  return { ...identity, clusterCertificate, trustAnchor }
}

function anchorFault(position: number, count: number): [string, string] {
  if (position === count) return ['the root of the trust anchor', 'by itself']
  return [`certificate ${position} of the trust anchor`, 'by the next one']
}

/** AWS's layout (data-plane §7), with words that say it is software. */
function clusterSubject(hsmId: string, mode: FoundOptions['mode']): Name {
  return [
    ['C', 'US'],
    ['ST', 'CA'],
    ['O', 'Strongroom'],
    ['OU', `Software HSM, ${mode} policy`],
    ['L', 'Software'],
    ['CN', `HSM:${hsmId}:PARTN:1, for ${mode} mode`],
  ]
}

/** The cluster key certified by the device, so that it verifies through manufacturer CA and provider CA alike. */
function hsmCertificate(device: Device, key: KeyObject, subject: Name): string {
  return makeCertificate({
    subject,
    key,
    issuer: device.certificate,
    issuerKey: device.key,
    notBefore: device.certificate.validFromDate,
    notAfter: device.certificate.validToDate,
    usage: ['digitalSignature'],
  })
}
