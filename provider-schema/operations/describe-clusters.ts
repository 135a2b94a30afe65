/** DescribeClusters: clusters with their HSMs, a page at a time. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const describeClusters = operationSpec({
  name: 'DescribeClusters',
  input: z.object({
    Filters: s.optional(s.filters),
    NextToken: s.optional(s.nextToken),
    MaxResults: s.optional(s.maxResults(25)),
  }),
  output: z.object({
    Clusters: z.array(s.cluster),
    NextToken: z.string().optional(),
  }),
  errors: ERRORS_OF.describeClusters,
  available: true,
})
