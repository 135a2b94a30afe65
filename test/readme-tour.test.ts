import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { awsCli } from '../api/testing/aws-cli.ts'
import { ROOT, startProduct } from './support/product.ts'

const run = promisify(execFile)
const missing = ['openssl', 'bash'].filter((tool) => spawnSync(tool, ['--version']).error)
const cli = awsCli()
const reason = missing.length > 0 ? `not on this machine: ${missing.join(', ')}` : cli.missing

/** The shell blocks between the marks of the tour, as one script; with an old AWS CLI, behind what is to be said to it first. */
async function tour(): Promise<string> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
  const section = readme.slice(readme.indexOf('<!-- tour: begin'), readme.indexOf('<!-- tour: end'))
  const blocks = [...section.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1])
  assert.ok(blocks.length >= 6, 'the tour has lost its blocks')
  const first = /`(aws\(\) \{.*\})`/.exec(readme)?.[1]
  assert.ok(first, 'the tour does not say what an old AWS CLI needs')
  return [...(cli.knowsEndpointUrl ? [] : [first]), ...blocks].join('\n')
}

test("the README's tour works as it stands", { skip: reason ?? false, timeout: 240_000 }, async () => {
  const product = await startProduct()
  const place = await mkdtemp(join(tmpdir(), 'strongroom-tour-'))
  try {
    await symlink(join(ROOT, 'bin'), join(place, 'bin'))
    await cp(join(ROOT, 'README.md'), join(place, 'README.md'))
    const script = (await tour()).replace('http://127.0.0.1:4570', product.url)
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: place,
      env: { ...process.env, AWS_EC2_METADATA_DISABLED: 'true' },
    })
    assert.match(stdout, /Verified OK/)
  } finally {
    await product.dispose()
    await rm(place, { recursive: true, force: true })
  }
})
