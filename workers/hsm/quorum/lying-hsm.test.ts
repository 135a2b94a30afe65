/**
 * An HSM that skips its own check, among others on a simulated network: its peers refuse what it changes, the write fails
 * there and nothing is left of it. The same HSMs stay one cluster through storms.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEvent } from '../audit/event.ts'
import { HsmError } from '../protocol/errors.ts'
import { SimulatedCluster, type SimulatedHsm } from '../replication/testing/simulation.ts'
import { fleetPki } from '../testing/pki.ts'
import { recordsOf } from '../vault/contested-records.ts'
import { changePath, encodeChange } from '../vault/key-changes.ts'
import { writeReplicated } from '../vault/replicated-write.ts'
import { userPath } from '../vault/user-record.ts'
import { PeerChanges } from './peer-changes.ts'
import { takingAlong, type SpentApprovals } from './spent-approvals.ts'
import { founding, HANDLE, KEYS, signedBy, tokenOf, userChange } from './testing/quorum-cluster.ts'

const pki = fleetPki()
const CALM = { delayMs: 2, loss: 0, diskMs: 2 }
const STORM = { delayMs: 40, loss: 0.02, duplication: 0.05, diskMs: 10 }
/** Several pulls. */
const LONG_MS = 4_000
/** Longer than any back-off, call and pull interval together. */
const LONGEST_MS = 30_000
const START = 1_800_000_000

const hexOf = (value: Uint8Array | undefined) => value && Buffer.from(value).toString('hex')

type Change = { readonly path: string; readonly value: Uint8Array | undefined }

async function cluster(count: number, seed = 1) {
  const events = new Map<SimulatedHsm, AuditEvent[]>()
  const simulated: SimulatedCluster = new SimulatedCluster(pki, {
    count,
    seed,
    weather: CALM,
    admission: (hsm, store, inService) => {
      const noted = events.get(hsm) ?? []
      events.set(hsm, noted)
      return new PeerChanges({
        hsmId: hsm.id,
        store,
        members: () => simulated.hsms.map(({ id }) => id),
        inService,
        note: (event) => noted.push(event),
        clock: { unixSeconds: now },
      })
    },
  })
  const now = () => START + Math.floor(simulated.clock.now / 1000)
  const { hsms, clock } = simulated
  await simulated.setMembers(hsms.map(({ id }) => id))
  for (const [i, hsm] of hsms.entries()) {
    await simulated.start(hsm, { found: i === 0 })
    if (i > 0) await clock.runUntil(simulated.join(hsm))
  }
  await clock.runUntil(hsms[0]?.running?.store.write(founding()) ?? Promise.resolve())
  await clock.run(LONG_MS)
  for (const noted of events.values()) noted.splice(0)

  /** Writes as an HSM does that has looked at nothing. Gives what came of it. */
  const lie = async (hsm: SimulatedHsm | undefined, change: Change, signed?: SpentApprovals) => {
    assert.ok(hsm?.running)
    const { store, replicator: replication } = hsm.running
    const rule = { copies: 2, refusal: 'too few took it' }
    const write = () => writeReplicated({ store, replication }, [change], rule)
    const work = signed ? takingAlong(signed, write) : write()
    await clock.runUntil(work)
    return work.then(
      () => 'done' as const,
      (error: unknown) => {
        assert.ok(error instanceof HsmError)
        return error
      },
    )
  }
  const parts = (unixSeconds = now()) => hsms.map(({ id }) => ({ hsmId: id, unixSeconds }))
  const standing = (path: string) =>
    hsms.map((hsm) => hexOf(hsm.running && recordsOf(hsm.running.store).get(path)?.value))
  return { simulated, hsms, clock, events, lie, parts, standing, now }
}

const stop = ({ hsms, simulated }: Pick<Awaited<ReturnType<typeof cluster>>, 'hsms' | 'simulated'>) =>
  hsms.forEach((hsm) => simulated.crash(hsm))

const eve = userChange('eve', 'admin')
const sharingWith = (username: string) => {
  const change = { username, shared: true }
  return { path: changePath(HANDLE, change), value: encodeChange(change) }
}
const CHANGES = [
  { what: 'a new admin', change: eve, of: { service: 'user', by: 'one' }, good: ['one', 'two'] },
  {
    what: 'a user who goes',
    change: { path: userPath('cat'), value: undefined },
    of: { service: 'user', by: 'one' },
    good: ['one', 'two'],
  },
  {
    what: 'a key that is shared',
    change: sharingWith('cat'),
    of: { service: 'key-management', by: 'ann', handle: HANDLE },
    good: ['ann', 'ben'],
  },
] as const

for (const count of [2, 3]) {
  for (const { what, change, of, good } of count === 2 ? CHANGES : CHANGES.slice(0, 1)) {
    test(`${count} HSMs, one of which lies: ${what} is refused by its peers without the right approvals, and logged`, async () => {
      const all = await cluster(count)
      const { hsms, clock, events, lie, parts, standing, now } = all
      const [liar, ...honest] = hsms
      const spent = signedBy(tokenOf({ ...of, parts: parts() }), ...good)
      const used = of.service === 'user' ? userChange('dan', 'crypto-user') : sharingWith('dan')
      assert.equal(await lie(liar, used, spent), 'done')
      const fresh = () => tokenOf({ ...of, parts: parts() })
      const before = standing(change.path)
      for (const [how, signed, code, why] of [
        ['no approval', undefined, 'QuorumRequired', /2 approvals, and none came/],
        ['too few', signedBy(fresh(), good[0]), 'QuorumFailed', /1 of 2 verify/],
        ['a stranger', signedBy(fresh(), good[0], [good[1], KEYS.cat.privateKey]), 'QuorumFailed', /1 of 2 verify/],
        ['a spent one', spent, 'QuorumFailed', /spent on another change/],
        ['an expired one', signedBy(tokenOf({ ...of, parts: parts(now() - 700) }), ...good), 'QuorumFailed', /expired/],
      ] as const) {
        for (const noted of events.values()) noted.splice(0)
        const refusal = await lie(liar, change, signed)
        assert.ok(refusal instanceof HsmError, `${how} was taken`)
        assert.equal(refusal.code, code, how)
        assert.match(refusal.message, why)
        assert.match(refusal.message, /HSM hsm-\d did not take the change over/)
        for (const hsm of honest) {
          const [event, ...more] = events.get(hsm) ?? []
          assert.deepEqual([event?.opcode, event?.refusal?.code, more], ['SR_PEER_CHANGE', code, []], how)
          assert.ok(event?.details?.kind === 'peer-change' && why.test(event.details.reason ?? ''), how)
        }
        await clock.run(LONG_MS)
        assert.deepEqual(standing(change.path), before, how)
        // They are linked as before, and all the same.
        for (const hsm of hsms) assert.equal(hsm.running?.replicator.inSync.length, count - 1, how)
      }
      assert.equal(await lie(liar, change, signedBy(fresh(), ...good)), 'done')
      await clock.run(LONG_MS)
      const after = standing(change.path)
      assert.ok(after.every((value) => (value === undefined) === (change.value === undefined) && value === after[0]))
      assert.notDeepEqual(after, before)
      stop(all)
    })
  }
}

test('an HSM that leaves a refused change standing is not in sync, and all else still reaches the others', async () => {
  const all = await cluster(3)
  const { hsms, clock, standing } = all
  const [liar] = hsms
  assert.ok(liar?.running)
  const { store, replicator } = liar.running
  await clock.runUntil(store.write(recordsOf(store).stating([eve])))
  await clock.run(LONG_MS)
  assert.deepEqual(standing(eve.path).slice(1), [undefined, undefined])
  assert.deepEqual(replicator.inSync, [])
  const writing = store.write([{ path: 'other', value: Buffer.from('1') }])
  await clock.runUntil(writing)
  const spreading = replicator.spread(await writing, 2_000)
  await clock.runUntil(spreading)
  assert.equal(await spreading, 3)
  // Its link breaks, it starts anew: they remember.
  all.simulated.crash(liar)
  await all.simulated.start(liar)
  await clock.run(LONG_MS)
  assert.deepEqual(standing(eve.path).slice(1), [undefined, undefined])
  assert.deepEqual(standing('other'), ['31', '31', '31'])
  stop(all)
})

test('what two HSMs settled while a third was away it takes over, though it cannot verify it any more', async () => {
  const all = await cluster(3)
  const { simulated, hsms, clock, lie, parts, standing } = all
  const [asked, , away] = hsms
  assert.ok(away)
  simulated.crash(away)
  await clock.run(LONG_MS)
  const approved = (by: 'one' | 'two') => signedBy(tokenOf({ service: 'user', by, parts: parts() }), 'one', 'two')
  assert.equal(await lie(asked, userChange('bob', 'crypto-user'), approved('one')), 'done')
  assert.equal(await lie(asked, { path: userPath('two'), value: undefined }, approved('two')), 'done')
  await simulated.start(away)
  await clock.run(LONG_MS)
  assert.deepEqual(standing(userPath('two')), [undefined, undefined, undefined])
  assert.ok(standing(userPath('bob')).every((value) => value !== undefined))
  for (const hsm of hsms) assert.equal(hsm.running?.replicator.inSync.length, 2)
  stop(all)
})

for (const seed of [1, 2, 3]) {
  test(`in a storm approved changes are never lost and all HSMs end up the same (seed ${seed})`, async () => {
    const all = await cluster(4, seed)
    const { simulated, hsms, clock, lie, parts, standing } = all
    simulated.weather = STORM
    const acknowledged: string[] = []
    for (let i = 0; i < 25; i++) {
      const hsm = hsms[Math.floor(clock.random() * hsms.length)]
      assert.ok(hsm)
      const [one, other] = [hsm, hsms.find((each) => each !== hsm)]
      if (other && clock.random() < 0.3) simulated.sever(one, other)
      if (clock.random() < 0.3) simulated.heal()
      if (clock.random() < 0.15 && other?.running) {
        simulated.crash(other)
        await simulated.start(other)
      }
      const name = `user_${i}`
      const order = [hsm, ...hsms.filter((each) => each !== hsm)].map(({ id }) => id)
      const dated = order.map((hsmId) => ({ hsmId, unixSeconds: parts()[0]?.unixSeconds ?? 0 }))
      const signed = signedBy(tokenOf({ service: 'user', by: 'one', parts: dated }), 'one', 'two')
      if ((await lie(hsm, userChange(name, 'crypto-user'), signed)) === 'done') acknowledged.push(name)
    }
    simulated.weather = CALM
    simulated.heal()
    await clock.run(LONGEST_MS)
    assert.ok(acknowledged.length > 5, `only ${acknowledged.length} were acknowledged`)
    for (const name of acknowledged)
      assert.ok(
        standing(userPath(name)).every((value) => value !== undefined),
        name,
      )
    const contents = hsms.map((hsm) =>
      [...(hsm.running?.store.list('', { tombstones: true }) ?? [])]
        .filter(({ path }) => !path.startsWith('approvals/'))
        .map(({ path, version }) => `${path} ${version.counter} ${version.hsmId}`),
    )
    for (const content of contents) assert.deepEqual(content, contents[0])
    stop(all)
  })
}
