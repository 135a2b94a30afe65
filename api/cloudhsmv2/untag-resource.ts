/** UntagResource: removes tags from a cluster or backup. Keys that are not there are no matter. */
import { operation } from './operation.ts'
import { taggableForUpdate } from './taggable.ts'
import { requireOwnKeys } from './tags.ts'

export const untagResource = operation('UntagResource', async ({ input, caller, tx, audit }) => {
  requireOwnKeys(input.TagKeyList)
  const resource = await taggableForUpdate(tx, caller.account, input.ResourceId)
  const dropped = new Set(input.TagKeyList)
  await resource.store(Object.fromEntries(Object.entries(resource.tags).filter(([key]) => !dropped.has(key))))
  await audit(input.ResourceId)
  return {}
})
