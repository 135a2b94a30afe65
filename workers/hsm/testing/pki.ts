/** A throw-away fleet for tests: root, authorities, control plane, fleet backup key; and a customer's CA. */
import { generateKeyPairSync, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto'
import { makeCertificate, publicKeyOfRequest, type KeyUsage, type Name } from '../identity/certificate.ts'
import { hsmUri } from '../../../provider-schema/party-names.ts'
import type { MembershipDocument, SignedMembership } from '../protocol/management-operations.ts'

const DAY_MS = 24 * 60 * 60_000

export interface Authority {
  readonly certificate: X509Certificate
  /** PEM. */
  readonly pem: string
  readonly key: KeyObject
}

/** PEM, as node:tls takes them. */
export interface TlsCredentials {
  readonly key: string
  readonly cert: string
}

export interface FleetPki {
  readonly root: Authority
  readonly manufacturerCa: Authority
  readonly providerCa: Authority
  readonly controlCa: Authority
  /** As an HSM's configuration wants it. */
  readonly trust: { readonly root: string; readonly controlCa: string; readonly manufacturerCa: string }
  readonly backupKey: Buffer
  /** What a host brings an HSM that left a request: contents of `device.pem` and `provider.pem`. */
  issueDevice(request: string, hsmId: string): { readonly deviceChain: string; readonly providerChain: string }
  /** Credentials of a part of the control plane. */
  control(name: string): TlsCredentials
  /** As the control plane signs it; `by` signs with other credentials than its own. */
  signMembership(document: MembershipDocument, by?: TlsCredentials): SignedMembership
}

export function fleetPki(): FleetPki {
  const root = authority([['CN', 'Test Root CA']])
  const manufacturerCa = authority([['CN', 'Test Manufacturer CA']], root)
  const providerCa = authority([['CN', 'Test Provider CA']], root)
  const controlCa = authority([['CN', 'Test Control CA']], root)
  const control = (name: string): TlsCredentials => {
    const key = ecKey()
    const certificate = makeCertificate({
      ...dates(),
      subject: [['CN', name]],
      key,
      issuer: controlCa.certificate,
      issuerKey: controlCa.key,
      usage: ['digitalSignature'],
      uri: `urn:strongroom:control:${name}`,
    })
    return { key: pemOf(key), cert: certificate + controlCa.pem }
  }
  const signer = control('jobs')
  return {
    root,
    manufacturerCa,
    providerCa,
    controlCa,
    trust: { root: root.pem, controlCa: controlCa.pem, manufacturerCa: manufacturerCa.pem },
    backupKey: randomBytes(32),
    issueDevice(request, hsmId) {
      const issue = (issuer: Authority) =>
        makeCertificate({
          ...dates(),
          subject: [
            ['O', 'Strongroom'],
            ['CN', hsmId],
          ],
          key: publicKeyOfRequest(request),
          issuer: issuer.certificate,
          issuerKey: issuer.key,
          authority: { pathLength: 0 },
          usage: ['keyCertSign', 'digitalSignature'],
          uri: hsmUri(hsmId),
        }) + issuer.pem
      return { deviceChain: issue(manufacturerCa), providerChain: issue(providerCa) }
    },
    control,
    signMembership(document, by = signer) {
      const bytes = Buffer.from(JSON.stringify(document))
      return { document: bytes, signature: sign('sha384', bytes, by.key), chain: by.cert }
    },
  }
}

export interface CustomerCa {
  /** The root, PEM: customerCA.crt. */
  readonly certificate: string
  /** The cluster certificate for a cluster's CSR, PEM. */
  signRequest(csr: string, options?: { readonly notAfter?: Date }): string
  /** An authority below this one, PEM. Certificates that it signs come with its own in `anchor`. */
  intermediate(): { readonly anchor: string; signRequest(csr: string): string }
}

export function customerCa(name = 'customer-ca'): CustomerCa {
  const root = authority([['CN', name]])
  const signWith = (issuer: Authority, csr: string, notAfter?: Date) =>
    makeCertificate({
      ...dates(),
      ...(notAfter && { notAfter }),
      subject: [
        ['O', 'Strongroom'],
        ['CN', 'cluster'],
      ],
      key: publicKeyOfRequest(csr),
      issuer: issuer.certificate,
      issuerKey: issuer.key,
      usage: ['digitalSignature'],
    })
  return {
    certificate: root.pem,
    signRequest: (csr, { notAfter } = {}) => signWith(root, csr, notAfter),
    intermediate() {
      const below = authority([['CN', `${name} issuing`]], root)
      return { anchor: below.pem + root.pem, signRequest: (csr) => signWith(below, csr) }
    },
  }
}

function authority(subject: Name, issuer?: Authority): Authority {
  const key = ecKey()
  const usage: readonly KeyUsage[] = ['keyCertSign', 'cRLSign']
  const pem = makeCertificate({
    ...dates(),
    subject,
    key,
    issuer: issuer?.certificate ?? 'self',
    issuerKey: issuer?.key ?? key,
    authority: {},
    usage,
  })
  return { certificate: new X509Certificate(pem), pem, key }
}

function ecKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
}

function dates(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + 365 * DAY_MS) }
}

function pemOf(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' })
}
