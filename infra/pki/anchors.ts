/** What users download to verify the certificates that DescribeClusters shows. */
import type { Fleet } from './fleet.ts'

/**
 * PEM bundles for `openssl verify -CAfile`, by the names they are served under: `aws-root` for AwsHardwareCertificate,
 * `manufacturer-root` for ManufacturerHardwareCertificate.
 */
export function publishedAnchors(fleet: Fleet): Readonly<Record<'aws-root' | 'manufacturer-root', string>> {
  return {
    'aws-root': fleet.providerCa + fleet.root,
    'manufacturer-root': fleet.manufacturerCa + fleet.root,
  }
}
