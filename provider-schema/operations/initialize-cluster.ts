/** InitializeCluster: gives a cluster the certificate that its owner signed. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { CLUSTER_STATES } from '../states.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const initializeCluster = operationSpec({
  name: 'InitializeCluster',
  input: z.object({
    ClusterId: s.clusterId,
    SignedCert: s.certificate,
    TrustAnchor: s.certificate,
  }),
  output: z.object({
    State: z.enum(CLUSTER_STATES),
    StateMessage: z.string(),
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
