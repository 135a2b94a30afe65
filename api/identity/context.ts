/** What is known of a request when policies are asked: condition keys and their values. */

/**
 * Keys in lower case (condition keys do not tell cases apart) → values. A key that is not there is absent; several values
 * have only keys such as aws:TagKeys. Keys of tags stand there as they are written too: a resource may have `team` and
 * `TEAM`, and a policy means the one it writes.
 */
export type RequestContext = ReadonlyMap<string, readonly string[]>

/** A condition key as a policy writes it, but for the case of what comes before the tag's key. */
export function exactKey(key: string): string {
  const slash = key.indexOf('/')
  return slash < 0 ? key.toLowerCase() : `${key.slice(0, slash).toLowerCase()}${key.slice(slash)}`
}

export const NO_CONTEXT: RequestContext = new Map()

/** One value of a key, for policy variables; undefined when it is absent or has several. */
export function valueOf(context: RequestContext, key: string): string | undefined {
  const values = context.get(key)
  return values?.length === 1 ? values[0] : undefined
}

/** Keys whose refusal CloudHSM reports as one of tags. */
export const isTagKey = (key: string) => key === 'aws:tagkeys' || key.startsWith('aws:requesttag/')
export const isResourceTagKey = (key: string) => key.startsWith('aws:resourcetag/')
