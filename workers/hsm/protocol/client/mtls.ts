/** Mutual TLS of clients: whose certificates count, and whether one must be shown (data-plane §7). */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { coverage } from '../values.ts'

const none = z.strictObject({})

export const MTLS_LEVELS = ['none', 'cluster'] as const
export const mtlsLevel = z.enum(MTLS_LEVELS)
export type MtlsLevel = z.infer<typeof mtlsLevel>

/** Number of a trust anchor within its cluster; the CLI prints it as `0x01`. */
const reference = z.number().int().min(1).max(0xff)

export const trustAnchor = z.object({
  reference,
  /** PEM, the issuing authority first, its root last. */
  certificate: z.string(),
  coverage,
})
export type TrustAnchorInfo = z.infer<typeof trustAnchor>

export const mtlsOperations = {
  /** At most two; only of hsm2m clusters. CertificateInvalid names the rule that the certificate breaks. */
  'mtls-register-trust-anchor': {
    params: z.strictObject({ certificate: z.string().max(65_536) }),
    result: z.object({ anchor: trustAnchor }),
  },
  /** Ends every connection that was made with a certificate below it. WrongState for the last one while mTLS is enforced. */
  'mtls-deregister-trust-anchor': { params: z.strictObject({ reference }), result: none },
  'mtls-list-trust-anchors': { params: none, result: z.object({ anchors: z.array(trustAnchor) }) },
  'mtls-get-enforcement': { params: none, result: z.object({ level: mtlsLevel }) },
  /**
   * `cluster` ends every connection whose client showed no certificate below a trust anchor, and refuses new ones. Only
   * the admin named `admin` may, on a connection with such a certificate.
   */
  'mtls-set-enforcement': { params: z.strictObject({ level: mtlsLevel }), result: none },
} as const satisfies OperationTable
