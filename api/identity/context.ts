/** What is known of a request when policies are asked: condition keys and their values. */

/**
 * Keys in lower case (condition keys do not tell cases apart) → values. A key that is not there is absent; several values
 * have only keys such as aws:TagKeys.
 */
export type RequestContext = ReadonlyMap<string, readonly string[]>

export const NO_CONTEXT: RequestContext = new Map()

/** One value of a key, for policy variables; undefined when it is absent or has several. */
export function valueOf(context: RequestContext, key: string): string | undefined {
  const values = context.get(key)
  return values?.length === 1 ? values[0] : undefined
}

/** Keys whose refusal CloudHSM reports as one of tags. */
export const isTagKey = (key: string) => key === 'aws:tagkeys' || key.startsWith('aws:requesttag/')
export const isResourceTagKey = (key: string) => key.startsWith('aws:resourcetag/')
