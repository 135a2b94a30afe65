import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Client } from 'pg'
import type { ClusterId } from '../../provider-schema/ids.ts'
import { describeClusters } from '../../provider-schema/operations/describe-clusters.ts'
import { openDatabase } from '../../state/database.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { clusterIn, hsmIn, setClusterState } from '../testing/fixtures.ts'
import { boundedStore } from './bounded-store.ts'

let api: TestApi
before(async () => {
  api = await testApi({ limits: { clustersPerAccount: 100, hsmsPerAccount: 100, hsmsPerCluster: 28 } })
})
after(() => api.close())

const page = async (input: object = {}) => describeClusters.output.parse(await api.ask('DescribeClusters', input))
const shown = async (id: ClusterId) => {
  const found = (await page()).Clusters.find((cluster) => cluster.ClusterId === id)
  assert.ok(found)
  return found
}

describe('a page that is kept', () => {
  test('is the same answer, byte for byte, as one that is made anew', async () => {
    await clusterIn(api, 'ACTIVE', { TagList: [{ Key: 'ü', Value: '漢字 ß' }] })
    const first = await api.call('DescribeClusters')
    const again = await api.call('DescribeClusters')
    await api.database.pool.query('select pg_current_xact_id()')
    const afterOthersWrote = await api.call('DescribeClusters')
    assert.equal(again.text, first.text)
    assert.equal(afterOthersWrote.text, first.text)
    assert.equal(first.headers.get('content-length'), String(Buffer.byteLength(first.text)))
  })

  test('shows a change in the very next answer, each of a hundred times, whichever process made it', async () => {
    const id = await clusterIn(api, 'ACTIVE')
    const hsmId = await hsmIn(api, id, 'ACTIVE')
    const url = api.database.pool.options.connectionString
    const other = openDatabase({ url: url ?? '', connections: 1 })
    const database = [api.database, other]
    for (let round = 0; round < 100; round++) {
      const by = database[round % 2] ?? other
      const text = `round ${round}`
      if (round % 3 === 0) await by.read.clusters.update(id, { tags: { round: text } })
      else await by.read.hsms.update(hsmId, { stateMessage: text })
      const { TagList, Hsms } = await shown(id)
      if (round % 3 === 0) assert.deepEqual(TagList, [{ Key: 'round', Value: text }])
      else assert.equal(Hsms[0]?.StateMessage, text)
    }
    await other.close()
  })

  test('shows nothing of a transaction before it commits, and all of it after, even when later ones committed first', async () => {
    const [slow, fast] = [await clusterIn(api, 'ACTIVE'), await clusterIn(api, 'ACTIVE')]
    const client = new Client({ connectionString: api.database.pool.options.connectionString })
    await client.connect()
    await client.query('begin')
    await client.query('update clusters set state_message = $2 where id = $1', [slow, 'slow'])
    await api.database.read.clusters.update(fast, { stateMessage: 'fast' })
    assert.equal((await shown(slow)).StateMessage, undefined)
    assert.equal((await shown(fast)).StateMessage, 'fast')
    await client.query('commit')
    assert.equal((await shown(slow)).StateMessage, 'slow')
    await client.query('begin')
    await client.query('update clusters set state_message = $2 where id = $1', [slow, 'never'])
    await client.query('rollback')
    assert.equal((await shown(slow)).StateMessage, 'slow')
    await client.end()
  })

  test('follows HSMs that come and go, and clusters that enter and leave the page', async () => {
    const id = await clusterIn(api, 'ACTIVE')
    assert.equal((await shown(id)).Hsms.length, 0)
    const hsmId = await hsmIn(api, id, 'CREATE_IN_PROGRESS')
    assert.equal((await shown(id)).Hsms[0]?.State, 'CREATE_IN_PROGRESS')
    await api.database.read.hsms.changeState(hsmId, { from: 'CREATE_IN_PROGRESS', to: 'ACTIVE' })
    assert.equal((await shown(id)).Hsms[0]?.State, 'ACTIVE')
    await api.database.pool.query("update hsms set state = 'DELETED' where id = $1", [hsmId])
    assert.equal((await shown(id)).Hsms.length, 0)
    await setClusterState(api, id, 'DELETED')
    assert.ok((await page()).Clusters.every((cluster) => cluster.ClusterId !== id))
    const mine = { Filters: { states: ['INITIALIZED'] } }
    assert.deepEqual((await page(mine)).Clusters, [])
    const initialized = await clusterIn(api, 'INITIALIZED')
    assert.deepEqual(
      (await page(mine)).Clusters.map((cluster) => cluster.ClusterId),
      [initialized],
    )
  })

  test('is forgotten when a connection is made anew: it may lead to another server', async () => {
    const id = await clusterIn(api, 'ACTIVE')
    // A second set of tables plays the server that took over: the same versions, but not the same content.
    await api.database.pool.query(`
      begin;
      create schema other;
      create table other.clusters (like public.clusters including all);
      create table other.hsms (like public.hsms including all);
      update public.clusters set state_message = 'before';
      insert into other.clusters select * from public.clusters;
      update other.clusters set state_message = 'after';
      commit`)
    assert.equal((await shown(id)).StateMessage, 'before')
    await api.database.pool.query(`
      do $$ begin execute format('alter database %I set search_path = other, public', current_database()); end $$`)
    await api.database.pool.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()',
    )
    let answer = await api.call('DescribeClusters')
    for (let i = 0; i < 20 && answer.status === 503; i++) answer = await api.call('DescribeClusters')
    assert.equal((await shown(id)).StateMessage, 'after')
  })
})

describe('a bounded store', () => {
  test('forgets what was stored longest ago when it is full, and takes nothing that is too large', () => {
    const store = boundedStore<string>(1_000)
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) store.set(key, key, 100)
    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => store.get(key)),
      [undefined, undefined, 'c', 'd', 'e', 'f'],
    )
    store.set('c', 'new', 100)
    store.set('g', 'g', 100)
    assert.deepEqual([store.get('c'), store.get('d')], ['new', undefined])
    store.set('huge', 'huge', 2_000)
    assert.equal(store.get('huge'), undefined)
    store.clear()
    assert.equal(store.get('c'), undefined)
  })
})
