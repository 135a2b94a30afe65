/** What the doctor says where something is wrong: what it is, how to mend it, and an exit code for scripts. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const STRONGROOM = fileURLToPath(new URL('../../bin/strongroom', import.meta.url))

let root: string
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'doctor-'))
})
after(() => rm(root, { recursive: true }))

function doctor(args: readonly string[]): Promise<{ code: number | null; says: string }> {
  return new Promise((resolve) => {
    const child = execFile(STRONGROOM, ['doctor', ...args], { timeout: 60_000 }, (_error, stdout) =>
      resolve({ code: child.exitCode, says: stdout }),
    )
  })
}

/** A port that somebody listens on until the test is over. */
async function takenPort(): Promise<{ port: number; release: () => Promise<unknown> }> {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return { port: address.port, release: () => new Promise((resolve) => server.close(resolve)) }
}

test('a port in use fails, with how to choose another', async () => {
  const { port, release } = await takenPort()
  try {
    const { code, says } = await doctor(['--data', join(root, 'port'), '--port', String(port)])
    assert.equal(code, 1, says)
    assert.match(says, new RegExp(`FAIL  port +${port} is in use by another program\n +→ Choose another with --port`))
  } finally {
    await release()
  }
})

test('the port that it looks at is the configured one', async () => {
  const { port, release } = await takenPort()
  try {
    const data = join(root, 'configured')
    await mkdir(data)
    await writeFile(join(data, 'strongroom.json'), JSON.stringify({ port }), { mode: 0o600 })
    const { code, says } = await doctor(['--data', data])
    assert.equal(code, 1, says)
    assert.ok(says.includes(`${port} is in use by`), says)
  } finally {
    await release()
  }
})

test('a data directory that cannot be written fails, a file in its place for instance', async () => {
  await writeFile(join(root, 'file'), '')
  const { code, says } = await doctor(['--data', join(root, 'file/data'), '--port', '0'])
  assert.equal(code, 1, says)
  assert.match(says, /FAIL {2}data +\S+ cannot be written: .*\n +→ Choose another with --data/)
})

test('a configuration that cannot be read as one fails, and the rest is looked at all the same', async () => {
  const data = join(root, 'broken')
  await mkdir(data)
  await writeFile(join(data, 'strongroom.json'), '{ "regions": 7 }', { mode: 0o600 })
  const { code, says } = await doctor(['--data', data, '--port', '0'])
  assert.equal(code, 1, says)
  assert.match(says, /FAIL {2}configuration +[^→]*→ at regions/)
  assert.match(says, /ok {4}postgres/)
})

test("a server of the operator's that cannot be used fails, and the embedded one is not looked at", async () => {
  const data = join(root, 'own-server')
  await mkdir(data)
  const databaseUrl = 'postgres://app:secret-of-app@127.0.0.1:1/hsm'
  const text = JSON.stringify({ databaseUrl, regions: ['us-east-1', 'eu-west-1'] })
  await writeFile(join(data, 'strongroom.json'), text, { mode: 0o600 })
  const { code, says } = await doctor(['--data', data, '--port', '0'])
  assert.equal(code, 1, says)
  for (const region of ['us-east-1', 'eu-west-1']) {
    assert.match(says, new RegExp(`FAIL  database +that of ${region} cannot be used on 127.0.0.1:1: .*ECONNREFUSED`))
  }
  assert.doesNotMatch(says, /secret-of-app|  postgres /)
})

test('a secret that others may read is a warning, with the command that mends it', async () => {
  const data = join(root, 'open')
  const password = join(data, 'postgres/password')
  await mkdir(join(data, 'postgres'), { recursive: true })
  await writeFile(password, 'not a secret')
  await chmod(password, 0o644)
  const { code, says } = await doctor(['--data', data, '--port', '0'])
  assert.equal(code, 0, says)
  assert.match(says, new RegExp(`warn  secrets +open to others: ${password}\n +→ chmod 600 ${password}`))
})
