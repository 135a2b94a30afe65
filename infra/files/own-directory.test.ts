import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Trouble } from '../trouble.ts'
import { ownDirectory } from './own-directory.ts'

const run = promisify(execFile)

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

test('says that one which is there cannot be written', async () => {
  // For root no mode is an obstacle: a process of somebody else's finds it.
  const path = join(dir, 'sealed')
  await mkdir(path, { mode: 0o500 })
  const work = `ownDirectory(${JSON.stringify(path)}).catch((error) => process.stdout.write(error.message))`
  const code = `import { ownDirectory } from ${JSON.stringify(new URL('own-directory.ts', import.meta.url).href)}; ${work}`
  const isRoot = process.getuid?.() === 0
  if (isRoot) await chmod(dir, 0o711)
  const somebody = isRoot ? `process.setgid(65534); process.setuid(65534); ` : ''
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code.replace('; ', `; ${somebody}`)])
  assert.equal(stdout, `The directory ${path} cannot be written: permission denied.`)
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
