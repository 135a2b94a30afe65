import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { identityOf, isAlive, residentBytes } from './identity.ts'
import { livingHolder, takeLock } from './lock.ts'

describe('a lock', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'strongroom-lock-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  test('is held by one at a time, and says by whom', async () => {
    const path = join(dir, 'one')
    const first = await takeLock(path)
    assert.ok('release' in first)
    const second = await takeLock(path)
    assert.ok('heldBy' in second)
    assert.equal(second.heldBy.pid, process.pid)
    await first.release()
    assert.ok('release' in (await takeLock(path)))
  })

  test('is taken by one of many who come at once, after its holder died', async () => {
    const path = join(dir, 'many')
    await writeFile(path, JSON.stringify({ pid: process.pid, identity: 'of an earlier process with this number' }))
    const taken = await Promise.all(Array.from({ length: 20 }, () => takeLock(path)))
    assert.equal(taken.filter((each) => 'release' in each).length, 1)
    assert.deepEqual(
      (await readdir(dir)).filter((name) => name.startsWith('many.')),
      [],
    )
  })

  test('is nobody’s when its file is empty or broken', async () => {
    const path = join(dir, 'broken')
    for (const content of ['', '{', '{"pid":0}', '[]']) {
      await writeFile(path, content)
      assert.equal(await livingHolder(path), undefined)
    }
    assert.ok('release' in (await takeLock(path)))
  })
})

describe('the identity of a process', () => {
  test('is there while it runs, and gone with it', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    const pid = child.pid ?? 0
    const identity = await identityOf(pid)
    assert.ok(identity)
    assert.notEqual(identity, await identityOf(process.pid))
    assert.equal(await identityOf(pid), identity)
    assert.ok(((await residentBytes(pid)) ?? 0) > 0)
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(await identityOf(pid), undefined)
    assert.equal(await isAlive(pid), false)
  })
})
