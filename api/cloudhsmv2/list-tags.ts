/** ListTags: the tags of a cluster or backup in the order of their keys, a page at a time. */
import { pageToken, positionIn, type PagedQuery } from '../aws-json/page-token.ts'
import { query } from './operation.ts'
import { presentTags } from './present.ts'
import { tagsOfResource } from './taggable.ts'

const PAGE = 100

export const listTags = query('ListTags', async ({ input, caller, ports, read }) => {
  const paged: PagedQuery = ['ListTags', caller.account, input.ResourceId]
  // A token holds a position among the keys, not a key: a key may be longer than a token.
  const from = input.NextToken === undefined ? 0 : Number(positionIn(ports.pageTokenKey, paged, input.NextToken))
  const all = presentTags(await tagsOfResource(read, caller.account, input.ResourceId))
  const until = from + (input.MaxResults ?? PAGE)
  return {
    TagList: all.slice(from, until),
    ...(until < all.length && { NextToken: pageToken(ports.pageTokenKey, paged, String(until)) }),
  }
})
