/** `bin/.exec`, by which every command finds its Node, in trees where npm has not done all that it should. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type TestContext } from 'node:test'

const EXEC = fileURLToPath(new URL('../bin/.exec', import.meta.url))

interface Tree {
  /** What the Node on the PATH answers when asked whether it is new enough, and otherwise; undefined: there is none. */
  readonly onPath?: 'old' | 'new'
  readonly modules?: 'none' | 'without node' | 'with node'
}

/** A fake Node: answers the question for its age, and otherwise prints its name and what it is to run. */
function writeNode(file: string, name: string, isNew: boolean): void {
  const script = `#!/bin/sh
case "$1" in
-p) echo ${String(isNew)} ;;
--version) echo v${isNew ? 26 : 20}.0.0 ;;
*) echo ${name}; for word; do echo "$word"; done ;;
esac
`
  writeFileSync(file, script)
  chmodSync(file, 0o755)
}

function run(t: TestContext, { onPath, modules = 'none' }: Tree) {
  const root = mkdtempSync(join(tmpdir(), 'exec-'))
  t.after(() => rmSync(root, { recursive: true }))
  const [bin, path, inModules] = [join(root, 'bin'), join(root, 'path'), join(root, 'node_modules/node/bin')]
  mkdirSync(bin)
  mkdirSync(path)
  copyFileSync(EXEC, join(bin, '.exec'))
  symlinkSync(join(bin, '.exec'), join(root, 'link'))
  if (modules !== 'none') mkdirSync(join(root, 'node_modules'))
  if (modules === 'with node') {
    mkdirSync(inModules, { recursive: true })
    writeNode(join(inModules, 'node'), 'packaged', true)
  }
  if (onPath) writeNode(join(path, 'node'), 'system', onPath === 'new')
  for (const tool of ['dirname', 'readlink']) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' })
    symlinkSync(stdout.trim(), join(path, tool))
  }
  const env = { PATH: path }
  const { status, stdout, stderr } = spawnSync('/bin/sh', [join(root, 'link'), 'program.ts', 'an argument'], {
    env,
    encoding: 'utf8',
  })
  return { root, status, stderr, lines: stdout.trim().split('\n') }
}

test('the Node that npm installed runs the program, arguments as they are, also through a link', (t) => {
  const { root, status, lines } = run(t, { modules: 'with node', onPath: 'old' })
  assert.equal(status, 0)
  assert.equal(lines[0], 'packaged')
  assert.deepEqual(lines.slice(-2), [join(root, 'program.ts'), 'an argument'])
})

test('a Node on the PATH that is new enough does where npm installed none', (t) => {
  assert.equal(run(t, { modules: 'without node', onPath: 'new' }).lines[0], 'system')
})

test('where npm did not run the install script of its Node, that is said with the command that mends it', (t) => {
  const { root, status, stderr } = run(t, { modules: 'without node', onPath: 'old' })
  assert.equal(status, 1)
  assert.match(stderr, /needs Node 24 or later, and found .*\/path\/node v20\.0\.0/)
  assert.match(stderr, /its install script did not run/)
  assert.ok(stderr.includes(`cd ${root} && npm rebuild node`))
})

test('where nothing is installed, and no Node at all, that is said with the command that mends it', (t) => {
  const { root, status, stderr } = run(t, {})
  assert.equal(status, 1)
  assert.match(stderr, /found no node/)
  assert.ok(stderr.includes(`cd ${root} && npm ci`))
})
