/** TagResource: adds tags to a cluster or backup; a key that is there gets the new value. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const tagResource = operationSpec({
  name: 'TagResource',
  input: z.object({
    ResourceId: s.resourceId,
    TagList: s.tagList,
  }),
  output: z.object({}),
  errors: ERRORS_OF.tagResource,
  available: true,
})
