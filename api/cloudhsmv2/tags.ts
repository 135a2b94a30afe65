/** What tags a resource may have. */
import { ServiceError } from '../../provider-schema/errors.ts'
import type { TagShape } from '../../provider-schema/shapes.ts'

/** Tags as they are stored. Throws CloudHsmTagException for a key that comes twice or is reserved. */
export function tagsOf(list: readonly TagShape[]): Record<string, string> {
  requireOwnKeys(list.map((tag) => tag.Key))
  const tags = Object.fromEntries(list.map((tag) => [tag.Key, tag.Value]))
  if (Object.keys(tags).length < list.length) {
    throw new ServiceError('CloudHsmTagException', 'A tag key may be given only once.')
  }
  return tags
}

/** Throws CloudHsmTagException when a key begins with `aws:`, which is AWS's own. */
export function requireOwnKeys(keys: readonly string[]): void {
  const reserved = keys.find((key) => key.toLowerCase().startsWith('aws:'))
  if (reserved !== undefined) {
    throw new ServiceError('CloudHsmTagException', `Tag keys that begin with "aws:" are reserved: ${reserved}`)
  }
}
