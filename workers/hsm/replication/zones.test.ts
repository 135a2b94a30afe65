/** Two zones that lose each other: real HSM processes in network namespaces, and a cut between them that nobody is told of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { untilTrue } from '../../../test/support/product.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Connection } from '../protocol/connection.ts'
import { startCluster, startHsmProcess, type HsmProcess, type TestCluster } from '../testing/process.ts'
import { makeZones, whyNoZones, type Zone, type Zones } from '../testing/zones.ts'

const PASSWORD = 'password-1'
const KEYS_A_SIDE = 8

interface Cut {
  readonly zones: Zones
  readonly cluster: TestCluster
  /** Two in each zone. */
  readonly inA: readonly [HsmProcess, HsmProcess]
  readonly inB: readonly [HsmProcess, HsmProcess]
}

type Client = Connection<ClientOperations>

/** A cluster of four over two zones, with an admin and the crypto user Alice. */
async function cluster(work: (cut: Cut) => Promise<void>): Promise<void> {
  const zones = makeZones()
  const started: HsmProcess[] = []
  try {
    const placed = (zone: Zone) => ({ prefix: zone.prefix, address: zone.nextAddress() })
    const founded = await startCluster(placed(zones.a))
    const { first, pki, clusterId } = founded
    started.push(first)
    const admin = await first.client(founded.customer.certificate)
    await admin.call('activate', { password: PASSWORD })
    await admin.call('login', { username: 'admin', role: 'admin', password: PASSWORD })
    await admin.call('user-create', { username: 'alice', role: 'crypto-user', password: PASSWORD })
    await admin.close()
    for (const zone of [zones.a, zones.b, zones.b]) {
      const next = await startHsmProcess({ pki, ...placed(zone) })
      started.push(next)
      const members = started.map(({ member }) => member)
      const membership = pki.signMembership({ clusterId, epoch: started.length, members })
      for (const hsm of started) {
        const management = await hsm.management()
        const op = hsm === next ? 'join' : 'membership'
        if (op === 'join') await management.call(op, { clusterId, membership })
        else await management.call(op, membership)
        await management.close()
      }
    }
    const [a1, a2, b1, b2] = started
    assert.ok(a1 && a2 && b1 && b2)
    await work({ zones, cluster: founded, inA: [a1, a2], inB: [b1, b2] })
  } finally {
    await Promise.all(started.map((hsm) => hsm.dispose()))
    zones.dispose()
  }
}

async function login(hsm: HsmProcess, { cluster: { customer } }: Cut, username = 'alice'): Promise<Client> {
  const client = await hsm.client(customer.certificate)
  const role = username === 'admin' ? 'admin' : 'crypto-user'
  await client.call('login', { username, role, password: PASSWORD })
  return client
}

/** A key that the answer says is on two HSMs at least. */
async function makeKey(client: Client, label: string): Promise<string> {
  const attributes = { label, encrypt: true, decrypt: true }
  const { key } = await client.call('key-generate-aes', { lengthBytes: 32, attributes, requireTwoCopies: true })
  return key.handle
}

async function makeKeys(client: Client, side: string): Promise<string[]> {
  const handles: string[] = []
  for (let i = 0; i < KEYS_A_SIDE; i += 1) handles.push(await makeKey(client, `${side}-${i}`))
  return handles
}

const skip = whyNoZones()

test('two zones that lose each other both go on, and are the same again when the cut heals', { skip }, () =>
  cluster(async (cut) => {
    const { zones, inA, inB } = cut
    const onA = await login(inA[0], cut)
    const onB = await login(inB[0], cut)
    const shared = await makeKey(onA, 'shared')
    const doomed = await makeKey(onB, 'doomed')
    const cipher = { name: 'aes-gcm', tagBits: 128 } as const
    const sealed = await onA.call('encrypt', { handle: shared, mechanism: cipher, data: Buffer.from('pay 100 EUR') })

    zones.partition()
    const [madeOnA, madeOnB] = await Promise.all([makeKeys(onA, 'a'), makeKeys(onB, 'b')])
    await onA.call('key-delete', { handle: doomed })
    const adminOnB = await login(inB[1], cut, 'admin')
    await adminOnB.call('user-create', { username: 'bob', role: 'crypto-user', password: PASSWORD })
    // What the other zone deleted is still of use here, and what was sealed over there opens.
    await onB.call('encrypt', { handle: doomed, mechanism: cipher, data: Buffer.from('still here') })
    const opened = await onB.call('decrypt', {
      handle: shared,
      mechanism: { ...cipher, iv: sealed.iv },
      data: sealed.ciphertext,
    })
    assert.equal(Buffer.from(opened.plaintext).toString(), 'pay 100 EUR')
    const apart = await onB.call('key-find', { filter: {} })
    assert.equal(
      apart.keys.filter(({ handle }) => madeOnA.includes(handle)).length,
      0,
      'the cut lets something through',
    )

    zones.heal()
    const expected = [shared, ...madeOnA, ...madeOnB].toSorted()
    for (const hsm of [...inA, ...inB]) {
      const client = await login(hsm, cut)
      let found: string[] = []
      await untilTrue(
        async () => {
          const { keys } = await client.call('key-find', { filter: {} })
          found = keys.map(({ handle }) => handle).toSorted()
          return JSON.stringify(found) === JSON.stringify(expected)
        },
        { seconds: 60, what: () => `${hsm.hsmId} holds ${found.length} of ${expected.length} keys` },
      )
      const bob = await login(hsm, cut, 'bob')
      await Promise.all([client.close(), bob.close()])
    }
    const management = await inA[0].management()
    await untilTrue(async () => (await management.call('health', {})).peersInSync.length === 3, {
      seconds: 30,
      what: () => 'not all HSMs are in sync',
    })
    await management.close()
    await Promise.all([onA.close(), onB.close(), adminOnB.close()])
  }),
)

test('an HSM that is alone on its side of a cut makes no key that must be on two, and loses none', { skip }, () =>
  cluster(async (cut) => {
    const { zones, inA, inB } = cut
    await inB[1].stop('SIGKILL')
    const onA = await login(inA[0], cut)
    const onB = await login(inB[0], cut)
    zones.partition()
    await assert.rejects(makeKey(onB, 'lonely'), { code: 'NotEnoughCopies' })
    const kept = await makeKeys(onA, 'a')
    zones.heal()
    let found: string[] = []
    await untilTrue(
      async () => {
        const { keys } = await onB.call('key-find', { filter: {} })
        found = keys.map(({ handle }) => handle).toSorted()
        return JSON.stringify(found) === JSON.stringify(kept.toSorted())
      },
      { seconds: 60, what: () => `it holds ${found.length} of ${kept.length} keys` },
    )
    await Promise.all([onA.close(), onB.close()])
  }),
)
