import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { NODE_FLAGS } from './flags.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Says at the end whether anything had to be stripped of its types. */
const CHECK = `process.on('exit', () => {
  const stripped = process.moduleLoadList.some((name) => name.includes('amaro'))
  require('node:fs').writeSync(1, 'stripped: ' + stripped + '\\n')
})`

let dir: string

function run(...words: readonly string[]) {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dir, 'cache') }
  return spawnSync(process.execPath, ['--require', join(dir, 'check.cjs'), ...NODE_FLAGS, ...words], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
  })
}

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'strongroom-test-'))
  await writeFile(join(dir, 'check.cjs'), CHECK)
  const ahead = run('infra/node/compile-ahead.ts')
  assert.equal(ahead.status, 0, ahead.stderr)
  assert.equal(ahead.stdout, 'stripped: true\n')
})
after(() => rm(dir, { recursive: true, force: true }))

for (const words of [
  ['infra/main.ts', '--help'],
  ['infra/main.ts', 'status', '--data', 'nothing-there'],
  ['infra/region/main.ts'],
  ['workers/hsm/main.ts'],
  ['clients/cli/main.ts', 'user', '--help'],
  ['clients/cli/configure/main.ts', '--help'],
]) {
  test(`once compiled ahead, nothing need be stripped of types for ${words.join(' ')}`, () => {
    assert.match(run(...words).stdout, /^stripped: false$/m)
  })
}
