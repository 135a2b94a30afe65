import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { listTags } from '../../provider-schema/operations/list-tags.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { clusterIn, refused } from '../testing/fixtures.ts'

let api: TestApi
before(async () => {
  api = await testApi()
})
after(() => api.close())

const list = async (input: object) => listTags.output.parse(await api.ask('ListTags', input))

test('tags come in the order of their keys, in pages', async () => {
  const keys = ['b', 'a', 'ä', 'c', 'B'.repeat(128)]
  const ResourceId = await clusterIn(api, 'ACTIVE', { TagList: keys.map((Key) => ({ Key, Value: '' })) })
  const all = await list({ ResourceId })
  assert.deepEqual(
    all.TagList.map((tag) => tag.Key),
    keys.toSorted(),
  )
  assert.ok(!('NextToken' in all))
  const seen: string[] = []
  let NextToken: string | undefined
  do {
    const page = await list({ ResourceId, MaxResults: 2, NextToken })
    seen.push(...page.TagList.map((tag) => tag.Key))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  assert.deepEqual(seen, keys.toSorted())
})

test('a resource without tags has an empty list; a token of another resource is refused', async () => {
  const bare = await clusterIn(api, 'ACTIVE')
  assert.deepEqual(await list({ ResourceId: bare }), { TagList: [] })
  const full = await clusterIn(api, 'ACTIVE', { TagList: ['a', 'b'].map((Key) => ({ Key, Value: '' })) })
  const { NextToken } = await list({ ResourceId: full, MaxResults: 1 })
  await refused(api, 'ListTags', { ResourceId: bare, NextToken }, 'CloudHsmInvalidRequestException', /NextToken/)
})
