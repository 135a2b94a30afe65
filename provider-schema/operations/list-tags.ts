/** ListTags: tags of a cluster or backup, in the order of their keys. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const listTags = operationSpec({
  name: 'ListTags',
  input: z.object({
    ResourceId: s.resourceId,
    NextToken: s.optional(s.nextToken),
    MaxResults: s.optional(s.maxResults(100)),
  }),
  output: z.object({
    TagList: z.array(s.tag),
    NextToken: z.string().optional(),
  }),
  errors: ERRORS_OF.onTaggable,
  available: true,
})
