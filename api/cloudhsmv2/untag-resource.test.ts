import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { testApi, type TestApi } from '../testing/api.ts'
import { backupRow, clusterIn, refused, trail } from '../testing/fixtures.ts'

let api: TestApi
before(async () => {
  api = await testApi()
})
after(() => api.close())

test('removes the keys that are there; others are no matter', async () => {
  const cluster = await clusterIn(api, 'ACTIVE', { TagList: ['a', 'b'].map((Key) => ({ Key, Value: Key })) })
  const backup = await backupRow(api, cluster, { tags: { a: 'a', b: 'b' } })
  for (const ResourceId of [cluster, backup]) {
    assert.deepEqual(await api.ask('UntagResource', { ResourceId, TagKeyList: ['a', 'none'] }), {})
    assert.deepEqual(await api.ask('ListTags', { ResourceId }), { TagList: [{ Key: 'b', Value: 'b' }] })
    assert.ok((await trail(api)).includes(`UntagResource ${ResourceId} arn:aws:iam::000000000000:user/test`))
  }
})

test("refuses keys that are AWS's own, and an empty list", async () => {
  const ResourceId = await clusterIn(api, 'ACTIVE')
  await refused(api, 'UntagResource', { ResourceId, TagKeyList: ['aws:x'] }, 'CloudHsmTagException', /reserved/)
  await refused(api, 'UntagResource', { ResourceId, TagKeyList: [] }, 'CloudHsmInvalidRequestException', /'tagKeyList'/)
})
