/** mTLS of a cluster's clients: its trust anchors and its enforcement. */
import type { MtlsLevel, TrustAnchorInfo } from '../../workers/hsm/protocol/client/mtls.ts'
import type { Requests } from './requests.ts'

export interface MtlsCalls {
  /** PEM, the issuing authority first, its root last. HsmError CertificateInvalid names the rule that it breaks. */
  registerTrustAnchor(certificate: string): Promise<TrustAnchorInfo>
  /** Connections that came in by it end, perhaps this one. */
  deregisterTrustAnchor(reference: number): Promise<void>
  listTrustAnchors(): Promise<TrustAnchorInfo[]>
  enforcement(): Promise<MtlsLevel>
  /** For the admin named `admin`, over a connection with a client certificate. */
  setEnforcement(level: MtlsLevel): Promise<void>
}

export function mtlsCalls(requests: Requests): MtlsCalls {
  return {
    async registerTrustAnchor(certificate) {
      const { anchor } = await requests.any('mtls-register-trust-anchor', { certificate })
      return anchor
    },
    async deregisterTrustAnchor(reference) {
      await requests.any('mtls-deregister-trust-anchor', { reference }, { code: 'CertificateInvalid', result: {} })
    },
    async listTrustAnchors() {
      const { anchors } = await requests.any('mtls-list-trust-anchors', {})
      return anchors
    },
    async enforcement() {
      const { level } = await requests.any('mtls-get-enforcement', {})
      return level
    },
    async setEnforcement(level) {
      await requests.any('mtls-set-enforcement', { level })
    },
  }
}
