/**
 * Joining and rejoining with as many keys as an HSM holds: who comes takes over what it lacks, no more, in pieces small
 * enough that clients are answered in between. Amounts are counted, never timed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { untilTrue } from '../../../test/support/product.ts'
import { encodeIdentity, IDENTITY_PATH, newMaskingKey } from '../identity/cluster-identity.ts'
import { generateSecret } from '../mechanisms/secret-keys.ts'
import { CAPACITY } from '../policy/hsm-types.ts'
import { fleetPki } from '../testing/pki.ts'
import { attributesAtCreation } from '../vault/attributes.ts'
import { encodeKey, keyPath } from '../vault/key-record.ts'
import { BATCH_RECORDS } from './peer-operations.ts'
import { CLUSTER_ID, withHsms, type CountedHsm } from './testing/counted-hsm.ts'

const FULL = CAPACITY['hsm2m.medium'].keys
const OWNER = { username: 'owner', role: 'crypto-user' } as const
/** What the one that is away misses: keys that went and keys that came. */
const GONE = 150
const NEW = 100
/** More than a name, a version and a number take in a list; a key takes several times that. */
const NAME_BYTES = 120

const handleAt = (i: number) => `0x${(i + 1).toString(16).padStart(16, '0')}`

function keyAt(i: number) {
  const { attributes, bytes } = generateSecret('aes', 32)
  const template = { label: `key-${i}` }
  const given = attributesAtCreation('secret-key', template, attributes, { origin: 'generate', defaults: 'cli' })
  const value = encodeKey({ owner: OWNER.username, sharedWith: [], attributes: given, material: bytes })
  return { path: keyPath(handleAt(i)), value }
}

/** Founds a cluster and fills it. Gives how many bytes all keys have. */
async function fill(hsm: CountedHsm): Promise<number> {
  const { store } = hsm.running
  const identity = { clusterId: CLUSTER_ID, hsmType: 'hsm2m.medium', mode: 'FIPS', csr: '' } as const
  const value = encodeIdentity({ ...identity, maskingKey: newMaskingKey(), clusterKey: new Uint8Array(1) })
  await store.write([{ path: IDENTITY_PATH, value }])
  const all = Array.from({ length: FULL }, (_, i) => keyAt(i))
  await Promise.all(all.map((key) => store.write([key])))
  return all.reduce((sum, key) => sum + key.value.length, 0)
}

/** Deletes keys from here on and makes others. Gives the handles of both. */
async function change(hsm: CountedHsm, from: number) {
  const { keys } = hsm.running
  const gone = Array.from({ length: GONE }, (_, i) => handleAt(from + i))
  await Promise.all(gone.map((handle) => keys.delete(OWNER, handle)))
  const made = await Promise.all(
    Array.from({ length: NEW }, () =>
      keys.create({
        owner: OWNER,
        scope: { handles: new Set() },
        requireTwoCopies: false,
        orders: [{ class: 'secret-key', template: {} }],
        generate: () => [generateSecret('aes', 32)],
      }),
    ),
  )
  return { gone, made: made.flatMap((each) => each.map(({ handle }) => handle)) }
}

/** What a client that looks a key up in every turn of the event loop gets, while some work is under way. */
async function answering(hsms: readonly CountedHsm[], work: () => Promise<unknown>): Promise<number> {
  const kept = handleAt(FULL - 1)
  const wanted = { handle: kept, attributes: {} }
  let answers = 0
  const state = { working: true }
  const client = (async () => {
    while (state.working) {
      for (const { running } of hsms) {
        assert.equal(running.keys.find(OWNER, wanted, { offset: 0, limit: 1 }).total, 1, `${kept} is not to be had`)
      }
      answers += 1
      await new Promise<void>((resolve) => void setImmediate(resolve))
    }
  })()
  await work().finally(() => (state.working = false))
  await client
  return answers
}

const untilSame = (one: CountedHsm, other: CountedHsm) =>
  untilTrue(() => Promise.resolve([one, other].every(({ running }) => running.replicator.inSync.length === 1)), {
    seconds: 120,
    what: () => `${other.id} holds ${other.running.keys.count} of ${one.running.keys.count} keys`,
    everyMs: 5,
  })

/** Every record with its version, tombstones included. */
const contentOf = ({ running }: CountedHsm) =>
  [...running.store.list('', { tombstones: true })].map(
    ({ path, version, value }) => `${path} ${version.counter}@${version.hsmId} ${value?.length ?? 'gone'}`,
  )

const calls = ({ running }: CountedHsm) => running.traffic.calls
const total = (counts: ReturnType<typeof calls>) => Object.values(counts).reduce((sum, count) => sum + count, 0)

test('a full HSM is joined and rejoined piece by piece, and who comes takes over exactly what it lacks', () =>
  withHsms(fleetPki(), ['hsm-1', 'hsm-2'], async ([full, other]) => {
    assert.ok(full && other)
    const members = [full.id, other.id]
    await full.start()
    const bytes = await fill(full)
    await full.accept(1, members)

    // Joining: everything once.
    await other.start()
    await other.accept(1, members)
    const answeredWhileJoining = await answering([full], () => other.join())
    assert.deepEqual(contentOf(other), contentOf(full))
    assert.equal(other.running.keys.count, FULL)
    const batches = Math.ceil(FULL / BATCH_RECORDS)
    assert.ok(other.taken >= FULL && other.taken <= FULL + 1, `${other.taken} records were taken over`)
    assert.ok(other.running.traffic.bytes < bytes + FULL * 2 * NAME_BYTES, 'keys went over the link more than once')
    assert.ok(total(calls(other)) < 4 * batches, `${total(calls(other))} calls for ${batches} batches`)
    assert.ok(answeredWhileJoining >= batches, `${answeredWhileJoining} answers in all that time`)
    assert.ok(other.mostInOneTurn <= BATCH_RECORDS, `${other.mostInOneTurn} records in one turn`)
    await untilSame(full, other)

    // Rejoining with its place in the feed known.
    await other.stop()
    const first = await change(full, 0)
    await other.start()
    const answers = await answering([full, other], () => untilSame(full, other))
    assert.deepEqual(contentOf(other), contentOf(full))
    assert.equal(other.running.keys.count, FULL - GONE + NEW)
    assert.equal(other.taken, GONE + NEW)
    assert.ok(other.running.traffic.bytes < (GONE + NEW) * ((2 * bytes) / FULL), 'it took over more than it lacked')
    assert.ok(answers >= 10, `${answers} answers in all that time`)

    // Rejoining with every place in every feed forgotten: names of all, values of what it lacks.
    await other.running.store.local.put('replication/positions', undefined)
    const { store } = full.running
    await other.stop()
    await store.local.put('replication/incarnation', Buffer.from('another'))
    await full.stop()
    await full.start()
    const second = await change(full, GONE)
    await other.start()
    await answering([full, other], () => untilSame(full, other))
    assert.deepEqual(contentOf(other), contentOf(full))
    assert.equal(other.taken, GONE + NEW)
    const names = (FULL + 2 * GONE + 2 * NEW) * NAME_BYTES
    assert.ok(other.running.traffic.bytes < names + (GONE + NEW) * ((2 * bytes) / FULL), 'it took over what it had')
    for (const hsm of [full, other]) {
      assert.equal(hsm.taken, hsm === other ? GONE + NEW : 0, `${hsm.id} took over something that was known`)
      assert.ok(hsm.mostInOneTurn <= BATCH_RECORDS, `${hsm.mostInOneTurn} records in one turn`)
      const { keys } = hsm.running
      for (const handle of [...first.gone, ...second.gone]) assert.deepEqual(keys.describe(OWNER, [handle]), [])
      for (const handle of [...first.made, ...second.made]) assert.equal(keys.describe(OWNER, [handle]).length, 1)
    }
  }))
