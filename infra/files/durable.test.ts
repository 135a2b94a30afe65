import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { syncTree } from './durable.ts'

test('a tree of many files, empty directories and a link to nowhere can be synced; one that is not there cannot', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'strongroom-test-'))
  t.after(() => rm(dir, { recursive: true }))
  await mkdir(join(dir, 'a/b/empty'), { recursive: true })
  for (let number = 0; number < 40; number += 1) await writeFile(join(dir, 'a/b', String(number)), 'content')
  await symlink('nowhere', join(dir, 'a/link'))
  await syncTree(dir)
  await assert.rejects(syncTree(join(dir, 'missing')), { code: 'ENOENT' })
})
