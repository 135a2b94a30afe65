import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ClusterId } from '../../provider-schema/ids.ts'
import { OTHER_ACCOUNT, testApi, type TestApi } from '../testing/api.ts'
import { backupRow, clusterIn, refused, trail } from '../testing/fixtures.ts'

let api: TestApi
before(async () => {
  api = await testApi({ limits: { clustersPerAccount: 100, hsmsPerAccount: 100, hsmsPerCluster: 28 } })
})
after(() => api.close())

const list = async (ResourceId: string) => (await api.ask('ListTags', { ResourceId }))['TagList']
const tags = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ Key: `key${String(i + from).padStart(3, '0')}`, Value: String(i) }))

test('adds tags to clusters and backups, and gives a key that is there the new value', async () => {
  const cluster = await clusterIn(api, 'ACTIVE', { TagList: [{ Key: 'a', Value: 'old' }] })
  const backup = await backupRow(api, cluster, { tags: { a: 'old' } })
  for (const ResourceId of [cluster, backup]) {
    const TagList = [
      { Key: 'b', Value: '' },
      { Key: 'a', Value: 'new' },
    ]
    assert.deepEqual(await api.ask('TagResource', { ResourceId, TagList }), {})
    assert.deepEqual(await list(ResourceId), TagList.toReversed())
    assert.ok((await trail(api)).includes(`TagResource ${ResourceId} arn:aws:iam::000000000000:user/test`))
  }
})

test('a key may have any name, also one that JavaScript knows', async () => {
  const ResourceId = await clusterIn(api, 'ACTIVE')
  await api.ask('TagResource', {
    ResourceId,
    TagList: [
      { Key: '__proto__', Value: 'x' },
      { Key: 'constructor', Value: 'y' },
    ],
  })
  assert.deepEqual(await list(ResourceId), [
    { Key: '__proto__', Value: 'x' },
    { Key: 'constructor', Value: 'y' },
  ])
})

test('fifty tags are the most a resource can have', async () => {
  const ResourceId = await clusterIn(api, 'ACTIVE', { TagList: tags(50) })
  await api.ask('TagResource', { ResourceId, TagList: tags(1, 49) })
  const limit = 'CloudHsmResourceLimitExceededException'
  await refused(api, 'TagResource', { ResourceId, TagList: tags(1, 50) }, limit, /at most 50 tags/)
})

test('refuses keys and resources that cannot be', async () => {
  const ResourceId = await clusterIn(api, 'ACTIVE')
  const invalid = 'CloudHsmInvalidRequestException'
  const tag = (Key: string, Value: string) => ({ ResourceId, TagList: [{ Key, Value }] })
  await refused(api, 'TagResource', tag('aws:x', '1'), 'CloudHsmTagException', /reserved/)
  await refused(api, 'TagResource', tag('', '1'), invalid, /'tagList.1.member.key'.*greater than or equal to 1/)
  await refused(api, 'TagResource', tag('k'.repeat(129), '1'), invalid, /less than or equal to 128/)
  await refused(api, 'TagResource', tag('k', 'v'.repeat(257)), invalid, /'tagList.1.member.value'.*256/)
  await refused(api, 'TagResource', tag('a{b}', '1'), invalid, /regular expression pattern/)
  await refused(api, 'TagResource', { ResourceId, TagList: [] }, invalid, /'tagList'/)
  await refused(api, 'TagResource', { ResourceId: 'hsm-aaaaaaaaaaa', TagList: tags(1) }, invalid, /'resourceId'/)
  const missing = 'CloudHsmResourceNotFoundException'
  for (const id of [
    'cluster-aaaaaaaaaaa',
    'backup-aaaaaaaaaaa',
    await clusterIn(api, 'DELETED'),
    await backupRow(api, ResourceId, { account: OTHER_ACCOUNT }),
  ]) {
    await refused(api, 'TagResource', { ResourceId: id, TagList: tags(1) }, missing, /not found/)
    await refused(api, 'ListTags', { ResourceId: id }, missing, /not found/)
    await refused(api, 'UntagResource', { ResourceId: id, TagKeyList: ['a'] }, missing, /not found/)
  }
})

test('what many add at once is all there', async () => {
  const ResourceId: ClusterId = await clusterIn(api, 'ACTIVE')
  await Promise.all(tags(8).map((tag) => api.ask('TagResource', { ResourceId, TagList: [tag] })))
  assert.deepEqual(await list(ResourceId), tags(8))
})
