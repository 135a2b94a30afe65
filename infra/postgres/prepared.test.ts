import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Client } from 'pg'
import { findBinaries } from './binaries.ts'
import { choosePort } from './data-directory.ts'
import type { Programs } from './initdb.ts'
import { copyPrepared, prepare } from './prepared.ts'
import { startServer, stopServer, urlOf } from './server.ts'
import { unprivileged } from './unprivileged.ts'

const isSkipped = process.platform === 'linux' ? false : 'nothing is prepared where initdb itself syncs its files'

describe('the prepared data area', { skip: isSkipped }, () => {
  let dir: string
  let prepared: string
  let programs: Programs
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'strongroom-prepared-'))
    prepared = join(dir, 'prepared')
    const binaries = await findBinaries()
    programs = { binaries, runAs: await unprivileged(join(dir, 'data'), binaries.postgres) }
    await prepare(prepared)
  })
  after(() => rm(dir, { recursive: true, force: true }))

  async function whoMayEnter(area: string, passwords: readonly string[]): Promise<string[]> {
    const place = { data: area, password: '', ...programs }
    const server = await startServer(place, await choosePort(dir), join(dir, 'log'))
    try {
      const entered: string[] = []
      for (const password of passwords) {
        const client = new Client({ connectionString: urlOf({ ...place, password }, server.port, 'postgres') })
        await client.connect().then(
          () => entered.push(password),
          () => undefined,
        )
        await client.end().catch(() => undefined)
      }
      return entered
    } finally {
      await stopServer(server)
    }
  }

  test('gives copies that each have their own password', async () => {
    assert.equal(await copyPrepared(join(dir, 'one'), 'first', programs, prepared), true)
    assert.equal(await copyPrepared(join(dir, 'two'), 'second', programs, prepared), true)
    assert.deepEqual(await whoMayEnter(join(dir, 'one'), ['first', 'second', '']), ['first'])
    assert.deepEqual(await whoMayEnter(join(dir, 'two'), ['first', 'second', '']), ['second'])
    assert.equal((await stat(join(dir, 'one'))).mode & 0o777, 0o700)
  })

  test('is made once, and leaves nothing else behind', async () => {
    const [name = '', ...more] = await readdir(prepared)
    assert.deepEqual(more, [])
    const made = await stat(join(prepared, name))
    await prepare(prepared)
    assert.equal((await stat(join(prepared, name))).ino, made.ino)
  })

  test('is done without where there is none', async () => {
    assert.equal(await copyPrepared(join(dir, 'none'), 'any', programs, join(dir, 'nothing-here')), false)
  })

  test('is done without where it is damaged, and nothing is left of the copy', async () => {
    const damaged = join(dir, 'damaged')
    await prepare(damaged)
    const [name = ''] = await readdir(damaged)
    await truncate(join(damaged, name, 'global/pg_control'), 100)
    assert.equal(await copyPrepared(join(dir, 'of-damaged'), 'any', programs, damaged), false)
    await assert.rejects(stat(join(dir, 'of-damaged')), { code: 'ENOENT' })
  })
})
