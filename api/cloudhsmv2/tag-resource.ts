/** TagResource: adds tags to a cluster or backup; a key that is there gets the new value. */
import { ServiceError } from '../../provider-schema/errors.ts'
import { LIMITS } from '../../provider-schema/limits.ts'
import { operation } from './operation.ts'
import { taggableForUpdate } from './taggable.ts'
import { tagsOf } from './tags.ts'

export const tagResource = operation('TagResource', async ({ input, caller, tx, audit }) => {
  const added = tagsOf(input.TagList)
  const resource = await taggableForUpdate(tx, caller.account, input.ResourceId)
  const tags = { ...resource.tags, ...added }
  if (Object.keys(tags).length > LIMITS.tagsPerResource) {
    throw new ServiceError(
      'CloudHsmResourceLimitExceededException',
      `A resource can have at most ${LIMITS.tagsPerResource} tags.`,
    )
  }
  await resource.store(tags)
  await audit(input.ResourceId)
  return {}
})
