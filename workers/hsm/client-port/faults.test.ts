/** A real HSM process against bad input, bad files and a second process. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { encodeFrame, MAX_FRAME_BYTES_BEFORE_LOGIN } from '../protocol/frame.ts'
import { startCluster, type TestCluster } from '../testing/process.ts'

let cluster: TestCluster
const PASSWORD = 'admin-secret-1'

before(async () => {
  cluster = await startCluster()
  const client = await cluster.first.client(cluster.customer.certificate)
  await client.call('activate', { password: PASSWORD })
  await client.close()
})
after(() => cluster.first.dispose())

async function stillServes(): Promise<void> {
  const client = await cluster.first.client(cluster.customer.certificate)
  const { users } = await client.call('user-list', {})
  assert.equal(users.length, 2)
  await client.close()
}

/** Sends, ends its side and waits until the connection is over, by a reset or in peace. */
function sentAndClosed(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => undefined).once('close', () => resolve())
    socket.resume().end(bytes)
  })
}

test('garbage on the client port, inside TLS and instead of it, closes only its own connection', async () => {
  const { address, ports } = cluster.first.config
  const bystander = await cluster.first.client(cluster.customer.certificate)
  const pid = cluster.first.pid
  for (let i = 0; i < 20; i++) {
    const plain = connectTcp(ports.client, address)
    await sentAndClosed(plain, randomBytes(1 + i * 700))
    const secure = connect({ host: address, port: ports.client, rejectUnauthorized: false })
    await once(secure, 'secureConnect')
    // Random bytes announce a frame of gigabytes, or hold no msgpack; short ones wait for more, so they end here.
    await sentAndClosed(secure, randomBytes(5 + i * 700))
  }
  assert.ok((await bystander.call('hsm-info', {}))['vendor'])
  await bystander.close()
  await stillServes()
  assert.equal(cluster.first.pid, pid)
})

/** A request on a connection that said hello, as any client may send it. */
async function asked(op: string, params: unknown): Promise<string> {
  const { address, ports } = cluster.first.config
  const socket = connect({ host: address, port: ports.client, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  socket.write(encodeFrame({ id: 1, op: 'hello', params: { client: 'x', protocol: 1 } }))
  await once(socket, 'data')
  socket.write(encodeFrame({ id: 2, op, params }))
  const [reply] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return reply.toString('latin1')
}

test('who is not logged in has no parameters looked at, and nobody has a map of thousands of members', async () => {
  const wide = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`n${i}`, null]))
  assert.match(await asked('key-find', { filter: { attributes: wide } }), /NotAuthenticated/)
  assert.match(await asked('key-find', 'nothing like it'), /NotAuthenticated/)
  assert.match(await asked('login', wide), /InvalidRequest.*more than 64 members/s)
  const client = await cluster.first.client(cluster.customer.certificate)
  await client.call('login', { username: 'admin', role: 'admin', password: PASSWORD })
  const refused = (message: RegExp) => ({ code: 'InvalidRequest', message })
  await assert.rejects(client.call('key-find', { filter: { attributes: wide as never } }), refused(/64 members/))
  const deep = JSON.parse(`${'['.repeat(9)}${']'.repeat(9)}`) as never
  await assert.rejects(client.call('key-find', { filter: deep }), refused(/nested too deeply/))
  await client.close()
  await stillServes()
})

test('a client has short frames only until it is logged in, and again after its logout', async () => {
  const client = await cluster.first.client(cluster.customer.certificate)
  const long = { params: Buffer.alloc(MAX_FRAME_BYTES_BEFORE_LOGIN) as never }
  await client.call('login', { username: 'admin', role: 'admin', password: PASSWORD })
  await assert.rejects(client.call('key-find', long.params), { code: 'InvalidRequest' })
  await client.call('logout', {})
  await assert.rejects(client.call('user-list', long.params), /closed|lost/i)
  await stillServes()
})

const oddRequests: readonly (readonly [string, unknown, RegExp])[] = [
  ['an operation of another port', { id: 1, op: 'zeroise', params: {} }, /UnknownOperation/],
  ['an operation before hello', { id: 1, op: 'user-list', params: {} }, /InvalidRequest.*hello/s],
  ['parameters that are no map', { id: 1, op: 'hello', params: 7 }, /InvalidRequest/],
  [
    'one parameter too many',
    { id: 1, op: 'hello', params: { client: 'x', protocol: 1, root: true } },
    /InvalidRequest/,
  ],
  ['a protocol that does not exist', { id: 1, op: 'hello', params: { client: 'x', protocol: 2 } }, /InvalidRequest/],
  ['a prototype among the parameters', { id: 1, op: 'hello', params: { ['__proto__']: {} } }, /InvalidRequest/],
]
for (const [what, request, expected] of oddRequests) {
  test(`${what} is answered with an error and changes nothing`, async () => {
    const { address, ports } = cluster.first.config
    const socket = connect({ host: address, port: ports.client, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    socket.write(encodeFrame(request))
    const [reply] = (await once(socket, 'data')) as [Buffer]
    assert.match(reply.toString('latin1'), expected)
    socket.destroy()
    await stillServes()
  })
}

test('a client that trusts another CA refuses the HSM', async () => {
  const { customerCa } = await import('../testing/pki.ts')
  await assert.rejects(cluster.first.client(customerCa('someone else').certificate), /cannot connect/)
})

test('a second process on the same directory refuses to start and leaves the first alone', async () => {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url))
  const second = spawn(process.execPath, [main, '--dir', cluster.first.directory], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  second.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code] = (await once(second, 'close')) as [number]
  assert.equal(code, 1)
  assert.match(output, /another process runs the HSM in/)
  assert.match(
    await readFile(join(cluster.first.directory, 'running.json'), 'utf8'),
    new RegExp(`${cluster.first.pid}`),
  )
  await stillServes()
})

test('without its seal key the HSM refuses to start and says what is missing', async () => {
  const { directory } = cluster.first
  await cluster.first.stop()
  await rename(join(directory, 'seal.key'), join(directory, 'kept'))
  await assert.rejects(cluster.first.start(), /seal\.key is missing but there is a sealed store beside it/)
  await writeFile(join(directory, 'seal.key'), randomBytes(32), { mode: 0o600 })
  await assert.rejects(
    cluster.first.start(),
    /seal\.key beside it: nothing in it opens with that key.*Nothing of it was used/s,
  )
  await rename(join(directory, 'kept'), join(directory, 'seal.key'))
  await cluster.first.start()
  await stillServes()
})

test('with an altered store the HSM refuses to start and names the entry', async () => {
  const { directory, hsmId } = cluster.first
  const name = `record/by/${hsmId}/users/admin`
  await cluster.first.stop()
  const database = open<Buffer, string>({ path: join(directory, 'store'), encoding: 'binary' })
  const good = Buffer.from(database.get(name) ?? [])
  const bad = Buffer.from(good)
  bad.writeUInt8(bad.readUInt8(30) ^ 1, 30)
  await database.put(name, bad)
  await database.close()
  await assert.rejects(cluster.first.start(), new RegExp(`${name} fails its seal`))
  const again = open<Buffer, string>({ path: join(directory, 'store'), encoding: 'binary' })
  await again.put(name, good)
  await again.close()
  await cluster.first.start()
  await stillServes()
})
