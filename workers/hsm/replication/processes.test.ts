/** HSM processes of one cluster that keep each other the same, through kills and removals. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { afterEach, beforeEach, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { untilTrue } from '../../../test/support/product.ts'
import { HSM_FILES } from '../../../provider-schema/hsm-directory.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Connection } from '../protocol/connection.ts'
import { startCluster, startHsmProcess, type HsmProcess, type TestCluster } from '../testing/process.ts'

const PASSWORD = 'password-1'

let cluster: TestCluster
let first: HsmProcess
let second: HsmProcess
const joined: HsmProcess[] = []
const clients: Connection<ClientOperations>[] = []
let epoch = 1

beforeEach(async () => {
  epoch = 1
  cluster = await startCluster()
  ;({ first } = cluster)
  const admin = await open(first)
  await admin.call('activate', { password: PASSWORD })
  await admin.call('login', { username: 'admin', role: 'admin', password: PASSWORD })
  await admin.call('user-create', { username: 'alice', role: 'crypto-user', password: PASSWORD })
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await Promise.all([first, ...joined.splice(0)].map((hsm) => hsm.dispose()))
})

async function open(hsm: HsmProcess): Promise<Connection<ClientOperations>> {
  const client = await hsm.client(cluster.customer.certificate)
  clients.push(client)
  return client
}

async function alice(hsm: HsmProcess): Promise<Connection<ClientOperations>> {
  const client = await open(hsm)
  await client.call('login', { username: 'alice', role: 'crypto-user', password: PASSWORD })
  return client
}

/** The control plane names the members to some HSMs. */
async function announce(members: readonly HsmProcess[], to = members): Promise<void> {
  const membership = signedList(members)
  for (const hsm of to) {
    const management = await hsm.management()
    await management.call('membership', membership).finally(() => management.close())
  }
}

function signedList(members: readonly HsmProcess[]) {
  const { pki, clusterId } = cluster
  return pki.signMembership({ clusterId, epoch: (epoch += 1), members: members.map(({ member }) => member) })
}

/** A second HSM takes over everything. */
async function join(): Promise<void> {
  second = await startHsmProcess({ pki: cluster.pki })
  joined.push(second)
  await announce([first, second], [first])
  const management = await second.management()
  const membership = signedList([first, second])
  await management.call('join', { clusterId: cluster.clusterId, membership }).finally(() => management.close())
}

const makeKey = (client: Connection<ClientOperations>, label: string, requireTwoCopies = false) =>
  client.call('key-generate-aes', { lengthBytes: 32, attributes: { label }, requireTwoCopies })

/** Handles of Alice's keys, in their order. */
async function keysOn(hsm: HsmProcess): Promise<string[]> {
  const client = await alice(hsm)
  const { keys } = await client.call('key-find', { filter: {} })
  await client.close()
  return keys.map(({ handle }) => handle).toSorted()
}

async function untilSame(): Promise<string[]> {
  let both: string[][] = []
  await untilTrue(
    async () => {
      both = await Promise.all([keysOn(first), keysOn(second)])
      return JSON.stringify(both[0]) === JSON.stringify(both[1])
    },
    { seconds: 20, what: () => JSON.stringify(both) },
  )
  return both[0] ?? []
}

test('one that joins has all users and keys, under the same handles; what is made on either is on both', async () => {
  const onFirst = await alice(first)
  const { key: before } = await makeKey(onFirst, 'before')
  await join()
  assert.deepEqual(await keysOn(second), [before.handle])
  const { key: there } = await makeKey(await alice(second), 'there', true)
  const { key: here } = await makeKey(onFirst, 'here', true)
  assert.deepEqual(await untilSame(), [before.handle, there.handle, here.handle].toSorted())
})

test('one that was killed while keys were made catches up, and no acknowledged key is lost', async () => {
  await join()
  const onFirst = await alice(first)
  const acknowledged: string[] = []
  for (let i = 0; i < 30; i += 1) {
    if (i === 10) await second.stop('SIGKILL')
    acknowledged.push((await makeKey(onFirst, `key-${i}`)).key.handle)
  }
  await second.start()
  assert.deepEqual(await untilSame(), acknowledged.toSorted())
})

test('the HSM that took the writes may be killed too: everything acknowledged is on both in the end', async () => {
  await join()
  const onFirst = await alice(first)
  const acknowledged: string[] = []
  const writing = assert.rejects(async () => {
    for (;;) acknowledged.push((await makeKey(onFirst, `key-${acknowledged.length}`, true)).key.handle)
  })
  await untilTrue(() => Promise.resolve(acknowledged.length >= 10), { seconds: 20, what: () => 'no keys are made' })
  await first.stop('SIGKILL')
  await writing
  await first.start()
  const kept = await untilSame()
  for (const handle of acknowledged) assert.ok(kept.includes(handle), 'an acknowledged key is lost')
})

test('what was deleted while one was away stays deleted', async () => {
  const onFirst = await alice(first)
  const { key: doomed } = await makeKey(onFirst, 'doomed')
  const { key: kept } = await makeKey(onFirst, 'kept')
  await join()
  await second.stop('SIGKILL')
  await onFirst.call('key-delete', { handle: doomed.handle })
  await second.start()
  assert.deepEqual(await untilSame(), [kept.handle])
})

test('a key that must be on two HSMs is refused, and undone, while there is only one', async () => {
  await join()
  await second.stop('SIGKILL')
  const onFirst = await alice(first)
  await assert.rejects(makeKey(onFirst, 'lonely', true), { code: 'NotEnoughCopies' })
  assert.deepEqual(await keysOn(first), [])
  const { key } = await makeKey(onFirst, 'lonely but wanted')
  await second.start()
  assert.deepEqual(await untilSame(), [key.handle])
})

test('an HSM that the list of members does not name, and one it names no more, are cut off', async () => {
  await join()
  await announce([first])
  const { key } = await makeKey(await alice(first), 'after')
  await assert.rejects(makeKey(await alice(first), 'lonely', true), { code: 'NotEnoughCopies' })
  assert.deepEqual(await keysOn(second), [])
  const stranger = await startHsmProcess({ pki: cluster.pki })
  try {
    const management = await stranger.management()
    const membership = signedList([first, stranger])
    const asked = management.call('join', { clusterId: cluster.clusterId, membership })
    await assert.rejects(asked.finally(() => management.close()))
  } finally {
    await stranger.dispose()
  }
  assert.deepEqual(await keysOn(first), [key.handle])
})

test('the peer port serves nobody but devices of the fleet', async () => {
  const { address: host, ports, trust } = first.config
  const strangers = [{}, cluster.pki.control('jobs')]
  for (const credentials of strangers) {
    await new Promise<void>((resolve) => {
      const socket = connectTls({
        ...credentials,
        host,
        port: ports.peer,
        ca: trust.root,
        checkServerIdentity: () => undefined,
      })
      socket.on('error', () => undefined).once('close', () => resolve())
      socket.write(Buffer.alloc(64, 1))
    })
  }
  assert.deepEqual(await keysOn(first), [])
})

test('a drained HSM takes no work, also after a restart, until it is told to resume', async () => {
  await makeKey(await alice(first), 'kept')
  const busy = await alice(first)
  const management = await first.management()
  await management.call('drain', { timeoutMs: 2_000 })
  await management.close()
  await assert.rejects(makeKey(busy, 'too late'))
  await first.stop('SIGKILL')
  await first.start()
  await assert.rejects(alice(first))
  const again = await first.management()
  await again.call('resume', {})
  await again.close()
  assert.equal((await keysOn(first)).length, 1)
})

test('a zeroised HSM has nothing left: no key, no seal key, no device certificate, and it stays so', async () => {
  const user = await alice(first)
  const { key } = await makeKey(user, 'gone')
  const management = await first.management()
  await management.call('zeroise', {})
  const use = {
    handle: key.handle,
    mechanism: { name: 'aes-gcm' },
    data: Buffer.from('x'),
    requireTwoCopies: false,
  } as const
  await assert.rejects(user.call('encrypt', use), { name: 'ConnectionLost' })
  await management.close().catch(() => undefined)
  const left = await readdir(first.directory)
  for (const name of ['seal.key', HSM_FILES.deviceChain, HSM_FILES.providerChain]) {
    assert.equal(left.includes(name), false, `${name} is still there`)
  }
  await assert.rejects(first.client(cluster.customer.certificate))
  await first.stop('SIGKILL')
  await first.start().catch(() => undefined)
  await assert.rejects(first.client(cluster.customer.certificate))
})
