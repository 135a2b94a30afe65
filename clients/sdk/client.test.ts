import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { ConnectionLost, HsmError } from '../../workers/hsm/protocol/errors.ts'
import { createClient, type ClientOptions } from './client.ts'
import { testCa } from './testing/certificates.ts'
import { startFakeHsm, type FakeHsm } from './testing/fake-hsm.ts'

const ca = testCa()
const certificate = ca.server
const alice = { username: 'alice', role: 'crypto-user', password: 'alicepass1' } as const

/** Members of a cluster share a port and differ in their addresses. */
async function fakeCluster(count: number): Promise<FakeHsm[]> {
  const port = 20_000 + randomInt(10_000)
  const net = `127.${randomInt(1, 255)}.${randomInt(1, 255)}`
  const hsms = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      startFakeHsm({ certificate, hsmId: `hsm-fake${index}`, host: `${net}.${index + 1}`, port }),
    ),
  )
  for (const hsm of hsms) hsm.announce(hsms.map(({ member }) => member))
  return hsms
}

const connect = (hsms: readonly FakeHsm[], options: Partial<ClientOptions> = {}) =>
  createClient({
    servers: hsms.map(({ host, port }) => ({ hostname: host, port })),
    ca: ca.certificate,
    ...options,
  })

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !condition();) {
    if (Date.now() > end) assert.fail(`not within 10 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function stopAll(hsms: readonly FakeHsm[]): Promise<void> {
  await Promise.all(hsms.map((hsm) => hsm.stop()))
}

const loggedIn = (client: Awaited<ReturnType<typeof connect>>) => client.hsms().filter((hsm) => hsm.loggedIn).length

describe('connecting', () => {
  test('no server: the error names every address and why it failed', async () => {
    await assert.rejects(
      createClient({
        servers: [
          { hostname: '127.0.0.1', port: 1 },
          { hostname: '127.0.0.2', port: 1 },
        ],
        ca: ca.certificate,
      }),
      { code: 'NoHsmReachable', message: /127\.0\.0\.1:1 \(.*ECONNREFUSED.*127\.0\.0\.2:1 \(.*ECONNREFUSED/ },
    )
  })

  test('a server of another CA is refused, and the error says what it shows and what was expected', async () => {
    await using hsm = await startFakeHsm({ certificate: testCa('somebody-else', 'impostor').server })
    await assert.rejects(connect([hsm]), {
      code: 'CertificateNotTrusted',
      message: /the CA given \(CN=customer-ca\); the server shows CN=impostor, issued by CN=somebody-else/,
    })
    assert.deepEqual(hsm.calls, [], 'nothing was said to it')
  })

  test('a CA file that is missing or no certificate is refused by name', async () => {
    const servers = [{ hostname: '127.0.0.1', port: 1 }]
    await assert.rejects(createClient({ servers, caFile: '/nonexistent/ca.crt' }), {
      code: 'TrustInvalid',
      message: /\/nonexistent\/ca\.crt.*ENOENT/,
    })
    await assert.rejects(createClient({ servers, ca: 'hello' }), {
      code: 'TrustInvalid',
      message: /no PEM certificate/,
    })
  })

  test('an HSM of another cluster is refused', async () => {
    await using hsm = await startFakeHsm({ certificate })
    await assert.rejects(connect([hsm], { clusterId: 'cluster-expected111' }), {
      code: 'WrongCluster',
      message: /belongs to cluster-fakefakefa1, not to cluster-expected111/,
    })
  })

  test('a server that never answers the greeting is given up in time', async () => {
    await using hsm = await startFakeHsm({ certificate })
    hsm.on('hello', () => new Promise(() => undefined))
    await assert.rejects(connect([hsm], { connectTimeoutMs: 100 }), { code: 'NoHsmReachable', message: /100 ms/ })
  })

  test('a server that answers nonsense is refused', async () => {
    await using hsm = await startFakeHsm({ certificate })
    hsm.on('hello', () => ({ protocol: 7, nonsense: true }))
    await assert.rejects(connect([hsm]), { code: 'NoHsmReachable', message: /unexpected shape/ })
  })
})

describe('following the cluster', () => {
  test('one address is enough to be connected to every member', async () => {
    const hsms = await fakeCluster(3)
    const client = await connect(hsms.slice(0, 1))
    await until('three connections', () => client.hsms().filter((hsm) => hsm.connected).length === 3)
    await client.close()
    await stopAll(hsms)
  })

  test('a new member is connected to and logged in on; a removed one is dropped', async () => {
    const [first, second] = await fakeCluster(2)
    assert.ok(first && second)
    first.announce([first.member])
    const client = await connect([first])
    await client.login(alice)
    assert.equal(loggedIn(client), 1)
    first.announce([first.member, second.member])
    await until('a login on the new member', () => loggedIn(client) === 2)
    assert.ok(second.calls.includes('login'))
    first.announce([first.member])
    await until('the removed member to be dropped', () => client.hsms().length === 1)
    assert.deepEqual(
      client.hsms().map(({ hsmId }) => hsmId),
      [first.hsmId],
    )
    await client.close()
    await stopAll([first, second])
  })

  test('an HSM that takes the address of a removed one is connected to', async () => {
    const [first, second] = await fakeCluster(2)
    assert.ok(first && second)
    const client = await connect([first])
    await until('two connections', () => client.hsms().filter((hsm) => hsm.connected).length === 2)
    await second.stop()
    const third = await startFakeHsm({ certificate, hsmId: 'hsm-third', host: second.host, port: second.port })
    third.announce([first.member, third.member])
    first.announce([first.member, third.member])
    await until('a connection to the third', () =>
      client.hsms().some(({ hsmId, connected }) => hsmId === third.hsmId && connected),
    )
    await client.close()
    await stopAll([first, third])
  })

  test('after a broken connection it comes back and logs in again', async () => {
    await using hsm = await startFakeHsm({ certificate })
    const client = await connect([hsm])
    await client.login(alice)
    hsm.breakConnections()
    assert.equal((await client.random(4)).length, 4)
    assert.equal(hsm.calls.filter((op) => op === 'login').length, 2)
    await client.close()
  })

  test('when every HSM stays away a request fails, with the reason', async () => {
    const hsm = await startFakeHsm({ certificate })
    const client = await connect([hsm], { unreachableTimeoutMs: 200 })
    await hsm.stop()
    await assert.rejects(client.random(4), { code: 'NoHsmReachable', message: /ECONNREFUSED/ })
    await client.close()
  })
})

describe('requests', () => {
  test('requests go to the HSM with the fewest under way', async () => {
    const hsms = await fakeCluster(2)
    const client = await connect(hsms)
    await until('two connections', () => client.hsms().filter((hsm) => hsm.connected).length === 2)
    await Promise.all(Array.from({ length: 40 }, () => client.random(1)))
    for (const hsm of hsms) assert.equal(hsm.calls.filter((op) => op === 'random').length, 20)
    await client.close()
    await stopAll(hsms)
  })

  test('a read that an HSM does not answer in time is answered by another', async () => {
    const hsms = await fakeCluster(2)
    const [slow] = hsms
    slow?.on('random', () => new Promise(() => undefined))
    const client = await connect(hsms, { callTimeoutMs: 150 })
    await until('two connections', () => client.hsms().filter((hsm) => hsm.connected).length === 2)
    const answers = await Promise.all(Array.from({ length: 4 }, () => client.random(2)))
    assert.deepEqual(
      answers.map(({ length }) => length),
      [2, 2, 2, 2],
    )
    await client.close()
    await stopAll(hsms)
  })

  test('times may be endless, and what is no time is refused', async () => {
    await using hsm = await startFakeHsm({ certificate })
    const endless = { connectTimeoutMs: Infinity, callTimeoutMs: Infinity, unreachableTimeoutMs: Infinity }
    const client = await connect([hsm], endless)
    assert.equal((await client.random(1)).length, 1)
    await client.close()
    for (const options of [
      { callTimeoutMs: 0 },
      { connectTimeoutMs: NaN },
      { unreachableTimeoutMs: -1 },
      { servers: [] },
    ])
      await assert.rejects(connect([hsm], options), { code: 'InvalidOptions' })
  })

  test('a login that a logout overtook says so, and leaves the next one alone', async () => {
    await using hsm = await startFakeHsm({ certificate })
    const answer = Promise.withResolvers<undefined>()
    hsm.on('login', async ({ username, role }) => {
      if (username === 'bob') return { username, role }
      await answer.promise
      throw new HsmError('LoginFailed', 'login failed')
    })
    const client = await connect([hsm])
    const first = assert.rejects(client.login(alice), { code: 'LoggedOut' })
    await until('a login', () => hsm.calls.includes('login'))
    const out = client.logout()
    answer.resolve(undefined)
    await out
    await client.login({ ...alice, username: 'bob' })
    await first
    await delay(100)
    assert.equal(client.user?.username, 'bob')
    assert.ok(!hsm.calls.includes('logout'))
    await client.close()
  })

  test('a long queue is no reason to give up an HSM that works it off', async () => {
    await using hsm = await startFakeHsm({ certificate })
    let turn = Promise.resolve()
    hsm.on('random', ({ length }) =>
      (turn = turn.then(() => delay(30))).then(() => ({ bytes: Buffer.alloc(Number(length)) })),
    )
    const client = await connect([hsm], { callTimeoutMs: 200 })
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.random(1)))
    assert.equal(answers.length, 20)
    assert.equal(hsm.calls.filter((op) => op === 'hello').length, 1, 'the connection was kept')
    // One that is forgotten among others that are answered is noticed all the same.
    hsm.on('random', ({ length }) => (length === 2 ? new Promise(() => undefined) : { bytes: Buffer.alloc(1) }))
    const state = { over: false }
    const forgotten = assert.rejects(client.random(2), ConnectionLost).finally(() => (state.over = true))
    const over = () => state.over
    for (const end = Date.now() + 10_000; !over() && Date.now() < end;) await Promise.all([client.random(1), delay(20)])
    assert.ok(over())
    await forgotten
    await client.close()
  })

  test('a write whose answer is lost is not repeated: its outcome is unknown', async () => {
    await using hsm = await startFakeHsm({ certificate })
    hsm.on('user-create', (_params, socket) => {
      socket.destroy()
      return {}
    })
    const client = await connect([hsm])
    await assert.rejects(client.users.create({ username: 'bob', role: 'crypto-user', password: 'bobspass1' }), {
      code: 'OutcomeUnknown',
      message: /user-create: it may or may not have been done/,
    })
    assert.equal(hsm.calls.filter((op) => op === 'user-create').length, 1)
    await client.close()
  })

  test('a deletion whose answer is lost is repeated, and finding nothing then is success', async () => {
    await using hsm = await startFakeHsm({ certificate })
    let asked = 0
    hsm.on('key-delete', (_params, socket) => {
      if (++asked > 1) throw new HsmError('KeyNotFound', 'no such key')
      socket.destroy()
      return {}
    })
    const client = await connect([hsm])
    await client.keys.delete('0x0000000000000001')
    assert.equal(asked, 2)
    await assert.rejects(client.keys.delete('0x0000000000000001'), { code: 'KeyNotFound' })
    await client.close()
  })

  test('a deletion whose answer is lost is not taken for done since one HSM has not heard of the key yet', async () => {
    const hsms = await fakeCluster(2)
    const client = await connect(hsms)
    const connected = () => client.hsms().filter((hsm) => hsm.connected).length
    let holder: unknown
    let isThere = true
    for (const hsm of hsms) {
      hsm.on('key-delete', async (_params, socket) => {
        if (holder === undefined) {
          holder = hsm
          socket.destroy()
        } else if (holder === hsm) isThere = false
        else {
          await until('the other is back', () => connected() === 2)
          throw new HsmError('KeyNotFound', 'no such key')
        }
        return {}
      })
    }
    await until('two connections', () => connected() === 2)
    await client.keys.delete('0x0000000000000001')
    assert.equal(isThere, false)
    await client.close()
    await stopAll(hsms)
  })

  test('a throttled request is tried three times more, then refused; without retries at once', async () => {
    await using hsm = await startFakeHsm({ certificate })
    let asked = 0
    hsm.on('random', () => {
      if (++asked % 4 !== 0) throw new HsmError('Busy', 'throttled')
      return { bytes: Buffer.alloc(1) }
    })
    const client = await connect([hsm])
    assert.equal((await client.random(1)).length, 1)
    assert.equal(asked, 4)
    const impatient = await connect([hsm], { retry: 'off' })
    await assert.rejects(impatient.random(1), { code: 'Busy' })
    assert.equal(asked, 5)
    await client.close()
    await impatient.close()
  })

  test('a draining HSM is left out', async () => {
    const hsms = await fakeCluster(2)
    hsms[0]?.on('random', () => {
      throw new HsmError('Draining', 'this HSM is leaving')
    })
    const client = await connect(hsms)
    await until('two connections', () => client.hsms().filter((hsm) => hsm.connected).length === 2)
    for (let i = 0; i < 4; i++) assert.equal((await client.random(1)).length, 1)
    await client.close()
    await stopAll(hsms)
  })

  test('the only HSM is waited for while it drains, until it is used again or the patience ends', async () => {
    const hsm = await startFakeHsm({ certificate })
    let asked = 0
    hsm.on('random', () => {
      if (++asked < 3) throw new HsmError('Draining', 'this HSM is being swapped')
      return { bytes: Buffer.alloc(1) }
    })
    const client = await connect([hsm])
    assert.equal((await client.random(1)).length, 1)
    assert.equal(asked, 3)
    await client.close()
    asked = -1_000_000
    const impatient = await connect([hsm], { unreachableTimeoutMs: 1 })
    await assert.rejects(impatient.random(1), { code: 'Draining' })
    await impatient.close()
    await hsm.stop()
  })

  test('a key that one HSM does not know yet is looked for on the others', async () => {
    const hsms = await fakeCluster(2)
    const handle = '0x00000000000000aa'
    hsms[0]?.on('key-public', () => {
      throw new HsmError('KeyNotFound', `no key ${handle}`)
    })
    hsms[1]?.on('key-public', () => ({ spki: Buffer.from('spki') }))
    const client = await connect(hsms)
    await until('two connections', () => client.hsms().filter((hsm) => hsm.connected).length === 2)
    for (let i = 0; i < 4; i++) assert.equal(Buffer.from(await client.keys.publicKey(handle)).toString(), 'spki')
    hsms[1]?.on('key-public', () => {
      throw new HsmError('KeyNotFound', `no key ${handle}`)
    })
    await assert.rejects(client.keys.publicKey(handle), { code: 'KeyNotFound' })
    await client.close()
    await stopAll(hsms)
  })

  test('what an HSM undid since no other held it is asked of the others; it stands when none does it', async () => {
    const hsms = await fakeCluster(2)
    const alone = () => {
      throw new HsmError('NotEnoughCopies', 'must be available on at least 2 HSMs')
    }
    const bob = { username: 'bob', role: 'crypto-user', password: 'bobspass1' } as const
    hsms[0]?.on('user-create', alone)
    hsms[1]?.on('user-create', () => ({ username: 'bob', role: 'crypto-user' }))
    const client = await connect(hsms)
    await until('two connections', () => client.hsms().filter((hsm) => hsm.connected).length === 2)
    for (let i = 0; i < 4; i++) await client.users.create(bob)
    hsms[1]?.on('user-create', () => {
      throw new HsmError('UserExists', 'what the other HSM made has come and is about to go')
    })
    for (let i = 0; i < 5; i++) {
      const before = hsms[0]?.calls.length
      // Whoever is asked first and knows the user says so.
      const code = () => (hsms[0]?.calls.length === before ? 'UserExists' : 'NotEnoughCopies')
      await assert.rejects(client.users.create(bob), (error) => error instanceof HsmError && error.code === code())
    }
    await client.close()
    await stopAll(hsms)
  })
})

describe('login', () => {
  test('a refused login leaves nobody logged in and the client usable', async () => {
    await using hsm = await startFakeHsm({ certificate })
    hsm.on('login', () => {
      throw new HsmError('LoginFailed', 'the name, role or password is wrong')
    })
    const client = await connect([hsm])
    await assert.rejects(client.login(alice), { code: 'LoginFailed' })
    assert.equal(client.user, undefined)
    assert.equal(hsm.calls.filter((op) => op === 'login').length, 1, 'a wrong password is tried once')
    assert.equal((await client.random(1)).length, 1)
    await client.close()
  })

  test('an HSM that has not heard of a new user yet is asked again later; one that knows is enough', async () => {
    const hsms = await fakeCluster(3)
    let known = false
    hsms[0]?.on('login', ({ username, role }) => {
      if (!known) throw new HsmError('LoginFailed', 'the name, role or password is wrong')
      return { username, role }
    })
    const client = await connect(hsms.slice(0, 1))
    await client.login(alice)
    assert.ok(loggedIn(client) >= 1)
    known = true
    await until('a login on all three', () => loggedIn(client) === 3)
    await client.close()
    await stopAll(hsms)
  })

  test('a wrong password is tried once on each HSM', async () => {
    const hsms = await fakeCluster(3)
    for (const hsm of hsms) {
      hsm.on('login', () => {
        throw new HsmError('LoginFailed', 'the name, role or password is wrong')
      })
    }
    const client = await connect(hsms.slice(0, 1))
    await assert.rejects(client.login(alice), { code: 'LoginFailed' })
    for (const hsm of hsms) assert.ok(hsm.calls.filter((op) => op === 'login').length <= 1)
    await client.close()
    await stopAll(hsms)
  })

  test('a second login is refused, and logout ends the first', async () => {
    await using hsm = await startFakeHsm({ certificate })
    const client = await connect([hsm])
    await client.login(alice)
    await assert.rejects(client.login(alice), { code: 'AlreadyLoggedIn' })
    assert.deepEqual(client.user, { username: 'alice', role: 'crypto-user' })
    await client.logout()
    assert.equal(client.user, undefined)
    assert.deepEqual(hsm.calls, ['hello', 'login', 'logout'])
    await client.close()
  })

  test('a password that no longer holds at reconnect fails requests with the refusal, without locking the user', async () => {
    await using hsm = await startFakeHsm({ certificate })
    const client = await connect([hsm])
    await client.login(alice)
    hsm.on('login', () => {
      throw new HsmError('LoginFailed', 'the name, role or password is wrong')
    })
    hsm.breakConnections()
    await assert.rejects(client.random(1), { code: 'LoginFailed' })
    await client.close()
    assert.ok(hsm.calls.filter((op) => op === 'login').length <= 4)
  })

  test('a client prints no password', async () => {
    await using hsm = await startFakeHsm({ certificate })
    const client = await connect([hsm])
    await client.login(alice)
    assert.doesNotMatch(inspect(client, { depth: 20, showHidden: true }), /alicepass1/)
    await client.close()
  })
})

test('close leaves no socket and fails what is under way', async () => {
  await using hsm = await startFakeHsm({ certificate })
  hsm.on('random', () => new Promise(() => undefined))
  const client = await connect([hsm])
  const waiting = assert.rejects(client.random(1))
  await client.close()
  await waiting
  await assert.rejects(client.random(1), { code: 'Closed' })
  await until('the server to see the end', () => !process.getActiveResourcesInfo().includes('TLSWrap'))
})
