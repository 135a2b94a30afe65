/** UntagResource: removes tags from a cluster or backup. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const untagResource = operationSpec({
  name: 'UntagResource',
  input: z.object({
    ResourceId: s.resourceId,
    TagKeyList: s.tagKeyList,
  }),
  output: z.object({}),
  errors: ERRORS_OF.onTaggable,
  available: true,
})
