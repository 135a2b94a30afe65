/** The client with real HSM processes: clusters that grow, lose an HSM, and get it back. */
import assert from 'node:assert/strict'
import { verify, createPublicKey, randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { startCluster, startHsmProcess, type HsmProcess, type TestCluster } from '../../workers/hsm/testing/process.ts'
import { createClient, type Client, type ClientOptions } from './client.ts'
import type { KeyPair } from './keys.ts'

const admin = { username: 'admin', role: 'admin', password: 'adminpass1' } as const
const alice = { username: 'alice', role: 'crypto-user', password: 'alicepass1' } as const
const MECHANISM = { name: 'rsa-pkcs', hash: 'sha256' } as const
const MESSAGE = Buffer.from('pay 100 EUR')

describe('a cluster that grows from one HSM to two', () => {
  let cluster: TestCluster
  let second: HsmProcess
  let epoch = 1
  const clients: Client[] = []

  const connect = async (options: Partial<ClientOptions> = {}) => {
    const { config } = cluster.first
    const servers = [{ hostname: config.address, port: config.ports.client }]
    const client = await createClient({ servers, ca: cluster.customer.certificate, ...options })
    clients.push(client)
    return client
  }
  /** Tells HSMs who the members are, as the control plane does. */
  const announce = async (members: readonly HsmProcess[], told: readonly HsmProcess[]) => {
    epoch++
    const document = { clusterId: cluster.clusterId, epoch, members: members.map(({ member }) => member) }
    const membership = cluster.pki.signMembership(document)
    for (const hsm of told) {
      const management = await hsm.management()
      await management.call('membership', membership)
      await management.close()
    }
    return membership
  }

  before(async () => {
    cluster = await startCluster()
    second = await startHsmProcess({ pki: cluster.pki })
    const client = await connect({ requireTwoCopies: false })
    await client.activate(admin.password)
    await client.login(admin)
    await client.users.create(alice)
    await client.close()
  })
  after(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await cluster.first.dispose()
    await second.dispose()
  })

  const until = async (what: string, condition: () => boolean) => {
    for (const end = Date.now() + 20_000; !condition();) {
      if (Date.now() > end) assert.fail(`not within 20 s: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const onBoth = (client: Client) => () => client.hsms().filter(({ loggedIn }) => loggedIn).length === 2
  const makePair = (client: Client, session = false): Promise<KeyPair> =>
    client.keys.generateRsa({
      modulusBits: 2048,
      publicExponent: 65537,
      publicAttributes: { label: 'pub', verify: true, ...(session && { token: false }) },
      privateAttributes: { label: 'priv', sign: true, ...(session && { token: false }) },
    })
  const assertSigns = async (client: Client, { publicKey, privateKey }: KeyPair) => {
    const signature = await client.sign(privateKey.handle, MECHANISM, MESSAGE)
    const spki = await client.keys.publicKey(publicKey.handle)
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    assert.ok(verify('sha256', MESSAGE, key, signature))
  }

  test('with one HSM the key-availability check refuses a key, and nothing of it stays', async () => {
    const client = await connect()
    await client.login(alice)
    await assert.rejects(makePair(client), { code: 'NotEnoughCopies', message: /at least 2 HSMs/ })
    assert.equal((await client.keys.find()).total, 0)
  })

  test('a client at work learns of a new HSM and logs in on it', async () => {
    const client = await connect()
    await client.login(alice)
    const membership = await announce([cluster.first, second], [cluster.first])
    const management = await second.management()
    await management.call('join', { clusterId: cluster.clusterId, membership }, { timeoutMs: 60_000 })
    await management.close()
    await until('a login on both HSMs', onBoth(client))
    await assertSigns(client, await makePair(client))
  })

  describe('with two HSMs', () => {
    let client: Client
    let pair: KeyPair

    beforeEach(async () => {
      client = await connect()
      await client.login(alice)
      await until('a login on both HSMs', onBoth(client))
      pair = await makePair(client)
    })

    test('each HSM knows the users and the keys', async () => {
      const lists = await client.users.listPerHsm()
      assert.equal(lists.length, 2)
      for (const { answer } of lists) assert.ok(answer.some(({ username }) => username === 'alice'))
      for (let i = 0; i < 10; i++) await assertSigns(client, pair)
    })

    test('session keys are used where they were made, and do not outlive their HSM', async () => {
      const ephemeral = await makePair(client, true)
      for (let i = 0; i < 10; i++) await assertSigns(client, ephemeral)
      const { keys } = await client.keys.find({ handle: ephemeral.privateKey.handle })
      assert.equal(keys[0]?.coverage, 'session')
      await client.keys.delete(ephemeral.privateKey.handle)
      await assert.rejects(client.sign(ephemeral.privateKey.handle, MECHANISM, MESSAGE), { code: 'KeyNotFound' })
    })

    test('keys come in, leave wrapped and come back, on whichever HSM answers', async () => {
      const value = randomBytes(32)
      const imported = await client.keys.import({
        class: 'secret-key',
        type: 'aes',
        key: Uint8Array.from(value),
        attributes: { label: 'imported', wrap: true, unwrap: true },
      })
      const mechanism = { name: 'aes-zero-pad' } as const
      const { handle } = pair.privateKey
      const { wrapped } = await client.keys.wrap({ handle, wrappingHandle: imported.handle, mechanism })
      const back = await client.keys.unwrap({
        handle: imported.handle,
        mechanism,
        wrapped,
        class: 'private-key',
        type: 'rsa',
        attributes: { sign: true },
      })
      await assertSigns(client, { publicKey: pair.publicKey, privateKey: back })
      const described = await client.keys.describe([back.handle, imported.handle])
      assert.deepEqual(
        described.map((key) => [key.handle, key.coverage]),
        [back, imported].map((key) => [key.handle, 'full']),
      )
      await client.keys.setAttributes(imported.handle, { label: 'renamed', extractable: false })
      const { keys } = await client.keys.find({ attributes: { label: 'renamed', extractable: false } })
      assert.deepEqual(
        keys.map((key) => key.handle),
        [imported.handle],
      )
    })

    test('session keys that come of session keys live where those do; one that becomes a token key lives everywhere', async () => {
      const base = await client.keys.import({
        class: 'secret-key',
        type: 'generic-secret',
        key: randomBytes(32),
        attributes: { derive: true },
        defaults: 'pkcs11',
      })
      const derive = () =>
        client.keys.derive({
          handle: base.handle,
          mechanism: { name: 'sp800-108-counter', prf: 'hmac-sha256', data: [{ field: 'counter', bits: 32 }] },
          type: 'aes',
          lengthBytes: 32,
          attributes: { wrap: true, unwrap: true, sensitive: false },
          defaults: 'pkcs11',
        })
      const wrapping = await derive()
      const same = await derive()
      assert.deepEqual(
        [wrapping.coverage, same.attributes['check-value']],
        ['session', wrapping.attributes['check-value']],
      )
      assert.deepEqual(await client.keys.value(wrapping.handle), await client.keys.value(same.handle))
      const mechanism = { name: 'aes-gcm' } as const
      const { wrapped, iv } = await client.keys.wrap({
        handle: base.handle,
        wrappingHandle: wrapping.handle,
        mechanism,
      })
      const back = await client.keys.unwrap({
        handle: wrapping.handle,
        mechanism: { ...mechanism, iv: iv ?? new Uint8Array() },
        wrapped,
        class: 'secret-key',
        type: 'generic-secret',
        attributes: { label: 'promoted' },
        defaults: 'pkcs11',
      })
      await client.keys.setAttributes(back.handle, { token: true })
      await client.logout()
      await client.login(alice)
      await until('a login on both HSMs', onBoth(client))
      const { keys } = await client.keys.find({ attributes: { label: 'promoted' } })
      assert.deepEqual(
        keys.map(({ handle, coverage }) => [handle, coverage]),
        [[back.handle, 'full']],
      )
    })

    test('a key that was shared is used by the other user, whose login is on both HSMs', async () => {
      const officer = await connect()
      await officer.login(admin)
      await officer.users.create({ ...alice, username: 'bob' })
      const bob = await connect()
      await bob.login({ ...alice, username: 'bob' })
      await until('a login on both HSMs', onBoth(bob))
      await assert.rejects(assertSigns(bob, pair), { code: 'KeyNotFound' })
      await client.keys.share(pair.privateKey.handle, 'bob')
      for (let i = 0; i < 4; i++) await assertSigns(bob, pair)
      await client.keys.unshare(pair.privateKey.handle, 'bob')
      await assert.rejects(assertSigns(bob, pair), { code: 'KeyNotFound' })
      assert.equal((await client.keys.find({ handle: pair.privateKey.handle })).keys[0]?.sharedWith.length, 0)
    })

    test('kill -9 of an HSM under load: no signature fails, and after its restart it is logged in again', async () => {
      const relaxed = await connect({ requireTwoCopies: false })
      await relaxed.login(alice)
      await until('a login on both HSMs', onBoth(relaxed))
      const ephemeral = await makePair(relaxed, true)
      await client.keys.setAttributes(pair.publicKey.handle, { label: 'changed before the kill' })
      let running = true
      let signed = 0
      const worker = async () => {
        while (running) {
          await relaxed.sign(pair.privateKey.handle, MECHANISM, MESSAGE)
          signed++
        }
      }
      const load = Promise.all(Array.from({ length: 16 }, worker))
      try {
        await until('some signatures', () => signed > 50)
        for (const hsm of [second, cluster.first]) {
          await hsm.stop('SIGKILL')
          const before = signed
          await until('signatures by the other HSM', () => signed > before + 50)
          await hsm.start()
          await until('a login on both HSMs', onBoth(relaxed))
        }
      } finally {
        running = false
        await load
      }
      // Both HSMs were killed, so the one that held the session key was.
      await assert.rejects(relaxed.sign(ephemeral.privateKey.handle, MECHANISM, MESSAGE), { code: 'SessionKeyLost' })
      await until('the first client to be back', onBoth(client))
      await assertSigns(client, pair)
      const [changed] = await client.keys.describe([pair.publicKey.handle])
      assert.equal(changed?.attributes.label, 'changed before the kill')
    })

    test('a removed HSM is dropped, and the others go on', async () => {
      await announce([cluster.first], [cluster.first])
      await until('one HSM', () => client.hsms().length === 1)
      assert.equal(client.hsms()[0]?.hsmId, cluster.first.hsmId)
      const relaxed = await connect({ requireTwoCopies: false })
      await relaxed.login(alice)
      await assertSigns(relaxed, pair)
    })
  })
})
