/** DescribeBackups: backups, newest first unless asked otherwise, a page at a time. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const describeBackups = operationSpec({
  name: 'DescribeBackups',
  input: z.object({
    NextToken: s.optional(s.nextToken),
    MaxResults: s.optional(s.maxResults(50)),
    Filters: s.optional(s.filters),
    Shared: s.optional(z.boolean()),
    SortAscending: s.optional(z.boolean()),
  }),
  output: z.object({
    Backups: z.array(s.backup),
    NextToken: z.string().optional(),
  }),
  errors: ERRORS_OF.onTaggable,
  available: true,
})
