import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { testApi, type TestApi } from '../../api/testing/api.ts'
import { clusterIn } from '../../api/testing/fixtures.ts'
import { Trouble } from '../trouble.ts'
import { timeOf } from './trail.ts'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

describe('strongroom trail', () => {
  let api: TestApi
  let data: string
  let clusterId: string
  before(async () => {
    api = await testApi()
    clusterId = await clusterIn(api, 'ACTIVE', { TagList: [{ Key: 'a', Value: 'b' }] })
    await api.ask('TagResource', { ResourceId: clusterId, TagList: [{ Key: 'c', Value: 'd' }] })
    data = await mkdtemp(join(tmpdir(), 'strongroom-trail-'))
    const region = { 'us-east-1': { databaseUrl: api.database.pool.options.connectionString } }
    await writeFile(join(data, 'strongroom.json'), JSON.stringify({ region }))
  })
  after(async () => {
    await api.close()
    await rm(data, { recursive: true, force: true })
  })
  const run = async (...args: string[]) => {
    const whole = [MAIN, 'trail', '--data', data, ...args]
    return (await promisify(execFile)(process.execPath, whole)).stdout
  }
  const refusal = (...args: string[]) =>
    run(...args).then(
      () => '',
      (error: unknown) => (error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)),
    )

  test('prints a table, oldest first, of what was asked for', async () => {
    const [head = '', created = '', tagged = ''] = (await run()).split('\n')
    assert.match(head, /^TIME +EVENT +OUTCOME +WHO +FROM +RESOURCES +REQUEST$/)
    assert.match(created, new RegExp(`CreateCluster +ok +arn:aws:iam::000000000000:user/test +127.0.0.1 +${clusterId}`))
    assert.match(tagged, new RegExp(`TagResource +ok .*${clusterId}`))
    const last = await run('--event-name', 'TagResource', '--resource', clusterId, '--since', '1h', '--limit', '1')
    assert.equal(last.trimEnd().split('\n').length, 2)
    assert.equal((await run('--since', '2099-01-01')).trimEnd().split('\n').length, 1)
  })

  test("gives CloudTrail's events one a line, and writes them to a file that is not there yet", async () => {
    const events = (await run('--json')).trimEnd().split('\n')
    assert.deepEqual(
      events.map((line) => (JSON.parse(line) as { eventName: string }).eventName),
      ['CreateCluster', 'TagResource'],
    )
    const file = join(data, 'trail.ndjson')
    assert.match(await run('--export', file), /^2 events/)
    assert.deepEqual((await readFile(file, 'utf8')).trimEnd().split('\n'), events)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.match(await refusal('--export', file), /exists already/)
    await run('--export', `${file}.2`, '--limit', '1')
    assert.equal(await readFile(`${file}.2`, 'utf8'), `${events[1] ?? ''}\n`)
  })

  test('follows what is added', async () => {
    const child = spawn(process.execPath, [MAIN, 'trail', '--data', data, '--follow', '--json'])
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    const until = async (pattern: RegExp) => {
      for (let i = 0; !pattern.test(text); i++) {
        assert.ok(i < 600, `${String(pattern)} is not in ${text}`)
        await sleep(50)
      }
    }
    await until(/TagResource/)
    await api.ask('UntagResource', { ResourceId: clusterId, TagKeyList: ['a'] })
    await until(/UntagResource/)
    child.kill('SIGINT')
    const code = await new Promise((resolve) => child.once('exit', resolve))
    assert.equal(code, 0)
    assert.equal(text.split('\n').filter((line) => line.includes('UntagResource')).length, 1)
  })

  test('refuses what it cannot do, and says why', async () => {
    assert.match(await refusal('--region', 'eu-west-1'), /no region eu-west-1/)
    assert.match(await refusal('--since', 'yesterday'), /neither like 12h nor a date/)
    assert.match(await refusal('--limit', '0'), /--limit 0/)
  })

  test('takes a time as how long ago, or as a date', () => {
    const now = Date.parse('2026-11-24T12:00:00Z')
    assert.equal(timeOf('90m', now).toISOString(), '2026-11-24T10:30:00.000Z')
    assert.equal(timeOf('7d', now).toISOString(), '2026-11-17T12:00:00.000Z')
    assert.equal(timeOf('2026-11-01T00:00Z', now).toISOString(), '2026-11-01T00:00:00.000Z')
    assert.throws(() => timeOf('1y', now), Trouble)
  })
})
