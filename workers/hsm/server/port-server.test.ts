import assert from 'node:assert/strict'
import { connect as connectTcp } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { after, test } from 'node:test'
import pino from 'pino'
import { z } from 'zod'
import { Later } from '../later.ts'
import { type Connection, openConnection } from '../protocol/connection.ts'
import type { OperationTable } from '../protocol/envelope.ts'
import { ConnectionLost, HsmError } from '../protocol/errors.ts'
import { encodeFrame, MAX_FRAME_BYTES } from '../protocol/frame.ts'
import { bytes } from '../protocol/values.ts'
import { selfSigned } from '../testing/self-signed.ts'
import { servePort, type PortLimits, type PortServer } from './port-server.ts'

const operations = {
  echo: { params: z.strictObject({ text: z.string().max(10) }), result: z.object({ text: z.string() }) },
  later: { params: z.strictObject({ ms: z.number() }), result: z.object({ ms: z.number() }) },
  putOff: {
    params: z.strictObject({ ms: z.number(), pad: bytes(4_000_000) }),
    result: z.object({ ms: z.number(), done: z.number() }),
  },
  big: { params: z.strictObject({ length: z.number() }), result: z.object({ bytes: bytes(8_000_000) }) },
  refuse: { params: z.strictObject({}), result: z.object({}) },
  crash: { params: z.strictObject({}), result: z.object({}) },
  eat: { params: z.strictObject({ bytes: bytes(4_000_000) }), result: z.object({}) },
} as const satisfies OperationTable

/** How often `putOff` did its work. */
let worked = 0
const NO_BYTES = new Uint8Array()

const identity = selfSigned('port-server-test')
const closing: (() => Promise<unknown>)[] = []
after(() => Promise.all(closing.map((close) => close())))

async function serve(limits: Partial<PortLimits> = {}): Promise<PortServer<{ closed: boolean }>> {
  const server = await servePort({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    tls: { cert: identity.certificate, key: identity.privateKey },
    operations,
    limits,
    log: pino({ level: 'silent' }),
    onConnect: () => ({ closed: false }),
    onClose: ({ context }) => {
      context.closed = true
    },
    handlers: {
      echo: ({ text }) => ({ text }),
      later: ({ ms }) => new Promise((resolve) => setTimeout(() => resolve({ ms }), ms)),
      putOff: ({ ms }) =>
        new Later(
          () => {
            const end = performance.now() + ms
            while (performance.now() < end);
            worked += 1
          },
          () => {
            if (ms === 0) throw new HsmError('KeyNotFound', 'no such key')
            return { ms, done: worked }
          },
        ),
      big: ({ length }) => ({ bytes: new Uint8Array(length) }),
      refuse: () => {
        throw new HsmError('KeyNotFound', 'no such key')
      },
      crash: () => Promise.reject(new Error('a secret detail')),
      eat: () => new Promise<Record<string, never>>((resolve) => setTimeout(() => resolve({}), 20)),
    },
  })
  closing.push(() => server.close())
  return server
}

async function client(server: PortServer<unknown>): Promise<Connection<typeof operations>> {
  const connection = await openConnection({
    host: '127.0.0.1',
    port: server.port,
    operations,
    tls: { ca: identity.certificate },
  })
  closing.push(() => connection.close())
  return connection
}

function rawTls(server: PortServer<unknown>): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false }, () => resolve(socket))
    socket.once('error', reject)
  })
}

const over = (socket: {
  once(event: 'close', listener: () => void): unknown
  on(e: 'error', l: () => void): unknown
}) =>
  new Promise<void>((resolve) => {
    socket.on('error', () => undefined)
    socket.once('close', () => resolve())
  })

test('replies come in any order, each to its request', async () => {
  const connection = await client(await serve())
  const order: string[] = []
  await Promise.all([
    connection.call('later', { ms: 100 }).then(() => order.push('later')),
    connection.call('echo', { text: 'a' }).then(({ text }) => order.push(text)),
  ])
  assert.deepEqual(order, ['a', 'later'])
})

test('thousands of pipelined requests are all answered', async () => {
  const server = await serve()
  const connection = await client(server)
  const replies = await Promise.all(
    Array.from({ length: 5000 }, (_, i) => connection.call('echo', { text: String(i) })),
  )
  assert.deepEqual(
    replies.map(({ text }) => text),
    Array.from({ length: 5000 }, (_, i) => String(i)),
  )
  assert.equal(server.load, 0)
})

test('work that was put off is done several times in a row, and each reply is of its own request', async () => {
  const server = await serve()
  const connection = await client(server)
  const before = worked
  const each = Array.from({ length: 100 }, (_, i) => 0.001 * (i + 1))
  const replies = await Promise.all(each.map((ms) => connection.call('putOff', { ms, pad: NO_BYTES })))
  assert.equal(worked - before, 100)
  assert.deepEqual(
    replies.map(({ ms }) => ms),
    each,
  )
  const rows = new Set(replies.map(({ done }) => done))
  assert.ok(rows.size < 20, `100 pieces of work in ${rows.size} rows`)
  await assert.rejects(connection.call('putOff', { ms: 0, pad: NO_BYTES }), { code: 'KeyNotFound' })
  assert.equal(server.load, 0)
})

test('put-off work whose requests fill the budget is done, and what waits behind it after that', async () => {
  const connection = await client(await serve({ bytesPerConnection: 1024 * 1024 }))
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => connection.call('putOff', { ms: 0.01, pad: new Uint8Array(500_000) })),
  )
  assert.equal(replies.length, 20)
})

test('a request that comes alone waits for one turn, not for those of everybody who has much to do', async () => {
  const server = await serve()
  const busy = await Promise.all(Array.from({ length: 8 }, () => client(server)))
  const alone = await client(server)
  const all = busy.flatMap((connection) =>
    Array.from({ length: 20 }, () => connection.call('putOff', { ms: 5, pad: NO_BYTES })),
  )
  await Promise.race(all)
  const before = worked
  await alone.call('echo', { text: 'a' })
  // Six pieces of work a turn; request and reply cross this one event loop a few times.
  assert.ok(worked - before <= 30, `waited for ${worked - before} pieces of work`)
  await Promise.all(all)
})

test('a connection that is gone leaves its put-off work undone', async () => {
  const server = await serve()
  const connection = await client(server)
  const before = worked
  const all = Promise.allSettled(Array.from({ length: 30 }, () => connection.call('putOff', { ms: 5, pad: NO_BYTES })))
  while (worked === before) await new Promise((resolve) => setImmediate(resolve))
  for (const served of server.connections) served.destroy()
  await all
  assert.ok(worked - before < 30)
  assert.equal(server.load, 0)
  assert.deepEqual(await (await client(server)).call('echo', { text: 'alive' }), { text: 'alive' })
})

test('wrong parameters are refused readably and without repeating their values', async () => {
  const connection = await client(await serve())
  await assert.rejects(connection.call('echo', { text: 'much too long, and secret' }), (error: HsmError) => {
    assert.equal(error.code, 'InvalidRequest')
    assert.match(error.message, /^text: /)
    assert.doesNotMatch(error.message, /secret/)
    return true
  })
})

test('an HsmError reaches the caller as it is, any other error only as Internal', async () => {
  const connection = await client(await serve())
  await assert.rejects(connection.call('refuse', {}), { code: 'KeyNotFound', message: 'no such key' })
  await assert.rejects(connection.call('crash', {}), (error: HsmError) => {
    assert.equal(error.code, 'Internal')
    assert.doesNotMatch(error.message, /secret/)
    return true
  })
})

test('an operation that every object has is unknown all the same', async () => {
  const server = await serve()
  const socket = await rawTls(server)
  const answer = new Promise<Buffer>((resolve) => socket.once('data', resolve))
  socket.write(encodeFrame({ id: 1, op: 'constructor', params: {} }))
  assert.match((await answer).toString('latin1'), /UnknownOperation/)
  socket.destroy()
})

const malformed: readonly (readonly [string, Buffer])[] = [
  ['a length beyond the largest frame', Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3])],
  ['a frame that is not msgpack', Buffer.from([0, 0, 0, 2, 0xc1, 0xc1])],
  ['a frame that is not a request', encodeFrame({ hello: 'world' })],
  ['an HTTP request inside TLS', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
]
for (const [what, sent] of malformed) {
  test(`${what} closes its connection and no other`, async () => {
    const server = await serve()
    const good = await client(server)
    const bad = await rawTls(server)
    const closed = over(bad)
    bad.write(sent)
    await closed
    assert.deepEqual(await good.call('echo', { text: 'alive' }), { text: 'alive' })
    assert.equal(server.connections.size, 1)
  })
}

test('garbage instead of TLS closes its connection and no other', async () => {
  const server = await serve()
  const good = await client(server)
  const bad = connectTcp(server.port, '127.0.0.1')
  const closed = over(bad)
  bad.write('GET / HTTP/1.1\r\nHost: hsm\r\n\r\n')
  await closed
  assert.deepEqual(await good.call('echo', { text: 'alive' }), { text: 'alive' })
})

test('TLS 1.2 is refused', async () => {
  const server = await serve()
  const socket = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' })
  await over(socket)
})

test('a peer that never shakes hands is cut off', async () => {
  const server = await serve({ handshakeTimeoutMs: 100 })
  await over(connectTcp(server.port, '127.0.0.1').resume())
})

test('an idle connection is cut off until it is trusted', async () => {
  const server = await serve({ idleTimeoutMs: 300 })
  const trusted = await client(server)
  await trusted.call('echo', { text: 'known' })
  const [first] = server.connections
  first?.trust()
  const idle = await client(server)
  await idle.closed
  assert.deepEqual(await trusted.call('echo', { text: 'still' }), { text: 'still' })
})

test('replies nobody reads stop the reading of requests, and all come once they are read', async () => {
  const server = await serve({ bytesPerConnection: 1024 * 1024 })
  const socket = await rawTls(server)
  socket.pause()
  const request = encodeFrame({ id: 7, op: 'big', params: { length: 100_000 } })
  socket.write(Buffer.concat(Array.from({ length: 400 }, () => request)))
  await new Promise((resolve) => setTimeout(resolve, 500))
  const [held] = server.connections
  assert.ok(held)
  assert.ok(held.socket.writableLength < 2 * 1024 * 1024, `holds ${held.socket.writableLength} bytes of replies`)
  let received = 0
  const all = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received >= 400 * 100_000) resolve()
    })
  })
  socket.resume()
  await all
  socket.destroy()
})

test('requests beyond the budget wait and are answered in the end', async () => {
  const connection = await client(await serve({ bytesPerConnection: 1024 * 1024 }))
  const eaten = await Promise.all(
    Array.from({ length: 20 }, () => connection.call('eat', { bytes: new Uint8Array(500_000) })),
  )
  assert.equal(eaten.length, 20)
})

test('an answer too long for a frame is an error, not a broken connection', async () => {
  const connection = await client(await serve())
  await assert.rejects(connection.call('big', { length: MAX_FRAME_BYTES }), { code: 'LimitExceeded' })
  assert.deepEqual(await connection.call('echo', { text: 'alive' }), { text: 'alive' })
})

test('draining finishes what is under way, refuses what comes, and can be taken back', async () => {
  const server = await serve()
  const connection = await client(server)
  const slow = connection.call('later', { ms: 200 })
  await connection.call('echo', { text: 'a' })
  let drained = false
  const drain = server.drain().then(() => {
    drained = true
  })
  await assert.rejects(connection.call('echo', { text: 'b' }), { code: 'Draining' })
  assert.equal(drained, false)
  assert.deepEqual(await slow, { ms: 200 })
  await drain
  await assert.rejects(
    client(server).then((late) => late.call('echo', { text: 'c' })),
    ConnectionLost,
  )
  server.resume()
  assert.deepEqual(await connection.call('echo', { text: 'd' }), { text: 'd' })
})

test('closing lets a request under way finish, tells each context, and leaves no connection', async () => {
  const server = await serve()
  const connection = await client(server)
  const slow = connection.call('later', { ms: 100 })
  await connection.call('echo', { text: 'a' })
  const [served] = server.connections
  await server.close(5_000)
  assert.deepEqual(await slow, { ms: 100 })
  assert.equal(served?.context.closed, true)
  assert.equal(server.connections.size, 0)
})

test('a connection over the limit is closed at once', async () => {
  const server = await serve({ maxConnections: 1 })
  const first = await client(server)
  await assert.rejects(client(server), ConnectionLost)
  assert.deepEqual(await first.call('echo', { text: 'alive' }), { text: 'alive' })
})
