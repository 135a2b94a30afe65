import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { Trouble } from '../trouble.ts'
import { ownDirectory } from './own-directory.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'strongroom-test-'))
  await writeFile(join(dir, 'file'), '')
})
after(() => rm(dir, { recursive: true }))

test('makes a directory that only its owner may enter, and is content with one that is there', async () => {
  const path = join(dir, 'a', 'b')
  await ownDirectory(path)
  await ownDirectory(path)
  assert.equal((await stat(path)).mode & 0o777, 0o700)
})

for (const [what, name, why] of [
  ['a file stands in its place', 'file', 'there is a file of that name'],
  ['a file stands above it', 'file/below', 'a part of the path is a file'],
  ['nothing can be made there', '/proc/strongroom/data', 'there is no such file or directory'],
  ['its name is longer than a name may be', 'x'.repeat(300), 'the name is too long'],
] as const) {
  const skip = name.startsWith('/proc') && process.platform !== 'linux' ? 'only Linux has /proc' : false
  test(`says why a directory cannot be made, and what to do, when ${what}`, { skip }, async () => {
    const path = resolve(dir, name)
    await assert.rejects(ownDirectory(path), (error) => {
      assert.ok(error instanceof Trouble)
      assert.equal(error.message, `The directory ${path} cannot be made: ${why}.`)
      assert.match(error.mend ?? '', /--data DIR/)
      return true
    })
  })
}
