import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createLog, spoken } from './log.ts'
import { rotatingFile } from './rotating-file.ts'

describe('a log', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'strongroom-log-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  test('starts a new file when it has grown, and keeps two older ones', async () => {
    const path = join(dir, 'turning/over.log')
    const file = rotatingFile(path, 100)
    for (let i = 0; i < 50; i += 1) file.write(`line ${i} `.padEnd(29, '.') + '\n')
    assert.deepEqual((await readdir(join(dir, 'turning'))).toSorted(), ['over.log', 'over.log.1', 'over.log.2'])
    assert.match(await readFile(path, 'utf8'), /line 49/)
    assert.ok((await stat(path)).size <= 130)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })

  test('goes on where it was', async () => {
    const path = join(dir, 'on.log')
    rotatingFile(path).write('one\n')
    rotatingFile(path).write('two\n')
    assert.equal(await readFile(path, 'utf8'), 'one\ntwo\n')
  })

  test('does not write down what is called a secret', async () => {
    const path = join(dir, 'secret.log')
    const log = createLog({ name: 'test', file: path, terminal: false })
    log.info({ password: 'hunter2', account: { secret: 'hunter2' }, databaseUrl: 'hunter2' }, 'said')
    const text = await readFile(path, 'utf8')
    assert.match(text, /said/)
    assert.ok(!text.includes('hunter2'))
  })

  test('stops nobody when the terminal is a file on a full disk, or a pipe that nobody reads', async () => {
    const program = fileURLToPath(new URL('./testing/talker.ts', import.meta.url))
    const path = join(dir, 'talker.log')
    const start = (stderr: 'pipe' | number) =>
      spawn(process.execPath, [program, path], { stdio: ['ignore', 'ignore', stderr] })
    const deaf = start('pipe')
    deaf.stderr?.destroy()
    assert.deepEqual(await once(deaf, 'exit'), [0, null])
    // Linux has a disk that is always full.
    const full = await open('/dev/full', 'w').catch(() => undefined)
    if (full) assert.deepEqual(await once(start(full.fd), 'exit'), [0, null])
    await full?.close()
    assert.match(await readFile(path, 'utf8'), /said 3/)
  })

  test('reads as a sentence on the terminal', () => {
    const line = JSON.stringify({
      level: 40,
      time: 0,
      pid: 1,
      name: 'eu-west-1',
      hsmId: 'hsm-a',
      err: { message: 'why' },
      msg: 'gone',
    })
    assert.equal(spoken(line), '00:00:00 warn  eu-west-1: gone: why hsmId=hsm-a')
    assert.equal(spoken('not JSON\n'), 'not JSON')
  })
})
