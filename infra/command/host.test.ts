import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Trouble } from '../trouble.ts'
import { host } from './host.ts'

test('strongroom host refuses what cannot be, says how to mend it, and has made nothing', async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'strongroom-host-'))
  t.after(() => rm(data, { recursive: true, force: true }))
  const flags = { data, region: 'us-east-1', zones: 'us-east-1a', capacity: '10' }
  const refusal = async (set: object) => {
    const error: unknown = await host({ ...flags, ...set }).catch((e: unknown) => e)
    assert.ok(error instanceof Trouble)
    return `${error.message} ${error.mend ?? ''}`
  }
  assert.match(await refusal({}), /needs the region's PostgreSQL server. Set STRONGROOM_DATABASE_URL/)
  const region = { 'us-east-1': { databaseUrl: 'postgres://127.0.0.1:1/nowhere' } }
  await writeFile(join(data, 'strongroom.json'), JSON.stringify({ region }))
  assert.match(await refusal({ region: 'mars' }), /--region mars/)
  assert.match(await refusal({ zones: ' ,' }), /--zones/)
  assert.match(await refusal({ capacity: 'many' }), /--capacity many/)
  assert.match(await refusal({ name: 'Rack; drop table' }), /--name/)
  assert.match(await refusal({ addresses: '10.0.0' }), /10\.0\.0 does not name addresses/)
  assert.match(await refusal({}), /certificates of the fleet are not in .*backup\.key/)
  assert.deepEqual((await readdir(data)).toSorted(), ['logs', 'strongroom.json'])
})
