import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FeedEntry, RecordVersion } from '../vault/record-store.ts'
import { isNewer } from '../vault/record-version.ts'
import { fleetPki } from '../testing/pki.ts'
import { SimulatedCluster, type SimulatedHsm, type Weather } from './testing/simulation.ts'

const pki = fleetPki()
const CALM: Weather = { delayMs: 2, loss: 0, diskMs: 2 }
/** Longer than any back-off, call and pull interval together. */
const LONG_MS = 10_000
const SPREAD_MS = 2_000

/** Founded on the first HSM and joined by all others. */
async function cluster(count: number, seed = 1, weather = CALM) {
  const simulated = new SimulatedCluster(pki, { count, seed, weather: CALM })
  await simulated.setMembers(simulated.hsms.map(({ id }) => id))
  for (const [i, hsm] of simulated.hsms.entries()) {
    await simulated.start(hsm, { found: i === 0 })
    if (i > 0) await finish(simulated, simulated.join(hsm))
  }
  await simulated.clock.run(LONG_MS)
  simulated.weather = weather
  const [one, two, three] = simulated.hsms
  assert.ok(one && two)
  return { simulated, one, two, three: three ?? two }
}

async function finish<Result>(simulated: SimulatedCluster, work: Promise<Result>): Promise<Result> {
  await simulated.clock.runUntil(work)
  return work
}

const value = (text: string) => Buffer.from(text)

async function write(simulated: SimulatedCluster, hsm: SimulatedHsm, path: string, text: string | undefined) {
  assert.ok(hsm.running)
  const { store, replicator } = hsm.running
  const entries = await finish(simulated, store.write([{ path, value: text === undefined ? text : value(text) }]))
  const from = simulated.clock.now
  const copies = await finish(simulated, replicator.spread(entries, SPREAD_MS))
  return { entries, copies, waitedMs: simulated.clock.now - from }
}

const textAt = (hsm: SimulatedHsm, path: string) => {
  const found = hsm.disk.records.get(path)?.value
  return found && Buffer.from(found).toString()
}
const seqOf = (hsm: SimulatedHsm, path: string) => hsm.disk.records.get(path)?.seq ?? NaN

function assertSame(hsms: readonly SimulatedHsm[]) {
  const [first, ...others] = hsms.map(({ disk }) =>
    [...disk.records.values()]
      .map(
        ({ path, version, value: bytes }) => `${path} ${version.counter}@${version.hsmId} ${bytes?.toString() ?? ''}`,
      )
      .sort(),
  )
  for (const other of others) assert.deepEqual(other, first)
}

test('a write reaches every linked HSM before it is acknowledged', async () => {
  const { simulated, one, two, three } = await cluster(3)
  const { copies, entries } = await write(simulated, one, 'keys/1', 'a')
  assert.equal(copies, 3)
  assert.deepEqual([textAt(two, 'keys/1'), textAt(three, 'keys/1')], ['a', 'a'])
  assert.equal(one.running?.replicator.copies(entries[0]?.seq ?? NaN), 3)
  // Whoever received it knows of the writer at once, and of the third soon.
  assert.ok((two.running?.replicator.copies(seqOf(two, 'keys/1')) ?? 0) >= 2)
  await simulated.clock.run(LONG_MS)
  assert.equal(two.running?.replicator.copies(seqOf(two, 'keys/1')), 3)
})

test('a member known to be down is not waited for, one that hangs only until the time is over', async () => {
  const { simulated, one, two, three } = await cluster(3)
  simulated.crash(three)
  await simulated.clock.run(LONG_MS)
  const down = await write(simulated, one, 'keys/1', 'a')
  assert.equal(down.copies, 2)
  assert.ok(down.waitedMs < 500, `waited ${down.waitedMs} ms`)
  two.frozen = true
  const hanging = await write(simulated, one, 'keys/2', 'b')
  assert.equal(hanging.copies, 1)
  assert.ok(hanging.waitedMs <= SPREAD_MS + 50, `waited ${hanging.waitedMs} ms`)
})

test('an HSM that was down catches up, and its own unsent writes reach the others', async () => {
  const { simulated, one, two } = await cluster(2)
  simulated.sever(one, two)
  await write(simulated, one, 'keys/1', 'a')
  await write(simulated, two, 'keys/2', 'b')
  simulated.crash(two)
  simulated.heal()
  await simulated.start(two)
  await simulated.clock.run(LONG_MS)
  assert.equal(textAt(two, 'keys/1'), 'a')
  assert.equal(textAt(one, 'keys/2'), 'b')
  assertSame([one, two])
  assert.deepEqual(one.running?.replicator.inSync, ['hsm-2'])
})

test('what was known of a peer that is down outlives a restart', async () => {
  const { simulated, one, two } = await cluster(2)
  await write(simulated, one, 'keys/1', 'a')
  await simulated.clock.run(LONG_MS)
  simulated.crash(two)
  simulated.crash(one)
  await simulated.start(one)
  assert.equal(one.running?.replicator.copies(seqOf(one, 'keys/1')), 2)
})

test('a deleted record stays deleted when an HSM that still had it comes back', async () => {
  const { simulated, one, two } = await cluster(2)
  await write(simulated, one, 'keys/1', 'a')
  simulated.crash(two)
  await simulated.clock.run(LONG_MS)
  await write(simulated, one, 'keys/1', undefined)
  await simulated.start(two)
  await simulated.clock.run(LONG_MS)
  assert.equal(textAt(two, 'keys/1'), undefined)
  assertSame([one, two])
})

test('an HSM that is not a member any more learns nothing more and counts for nothing', async () => {
  const { simulated, one, two, three } = await cluster(3)
  await write(simulated, one, 'keys/1', 'a')
  await simulated.setMembers([one.id, two.id])
  const { copies } = await write(simulated, one, 'keys/2', 'b')
  assert.equal(copies, 2)
  assert.equal(one.running?.replicator.copies(seqOf(one, 'keys/1')), 2)
  await simulated.clock.run(LONG_MS)
  assert.equal(textAt(three, 'keys/2'), undefined)
  assert.deepEqual(three.running?.replicator.connected, [])
})

test('an HSM that joins is no holder before it is in service, and resumes after a crash', async () => {
  const grown = new SimulatedCluster(pki, { count: 2, seed: 9, weather: { ...CALM, diskMs: 200 } })
  const [member, blank] = grown.hsms
  assert.ok(member && blank)
  await grown.setMembers([member.id, blank.id])
  await grown.start(member, { found: true })
  await write(grown, member, 'keys/1', 'a')
  await grown.start(blank)
  grown.join(blank).catch(() => undefined)
  await grown.clock.run(20)
  const copies = () => member.running?.replicator.copies(seqOf(member, 'keys/1'))
  assert.equal(copies(), 1)
  grown.crash(blank)
  await grown.start(blank)
  await finish(grown, grown.join(blank))
  await grown.clock.run(LONG_MS)
  assert.equal(textAt(blank, 'keys/1'), 'a')
  assert.equal(copies(), 2)
  assertSame([member, blank])
})

type Step =
  | { readonly do: 'write'; readonly hsm: number; readonly path: number; readonly deletes: boolean }
  | { readonly do: 'sever'; readonly hsm: number; readonly other: number }
  | { readonly do: 'crash'; readonly hsm: number }
  | { readonly do: 'start'; readonly hsm: number }
  | { readonly do: 'freeze'; readonly hsm: number }
  | { readonly do: 'heal' }
  | { readonly do: 'pass'; readonly ms: number }

const which = fc.nat({ max: 2 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('write' as const), hsm: which, path: fc.nat(4), deletes: fc.boolean() }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(3_000) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), hsm: which }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('start' as const), hsm: which }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('freeze' as const), hsm: which }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('sever' as const), hsm: which, other: which }) },
    { weight: 1, arbitrary: fc.constant({ do: 'heal' as const }) },
  ),
  { minLength: 5, maxLength: 40 },
)

interface Acknowledged {
  readonly entry: FeedEntry
  readonly copies: number
}

test('whatever happens, HSMs end up the same and nothing acknowledged is lost or comes back', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), fc.nat({ max: 2 }), async (plan, seed, victim) => {
      const stormy: Weather = { delayMs: 40, loss: 0.02, diskMs: 10 }
      const { simulated } = await cluster(3, seed, stormy)
      const acknowledged: Acknowledged[] = []
      const written = new Map<string, string | undefined>()
      for (const step of plan) await take(simulated, step, acknowledged, written)

      // One HSM is lost for good. What only it held may go with it; what two held may not.
      const lost = simulated.hsms[victim]
      assert.ok(lost)
      simulated.crash(lost)
      simulated.weather = CALM
      simulated.heal()
      const survivors = simulated.hsms.filter((hsm) => hsm !== lost)
      for (const hsm of survivors) if (!hsm.running) await simulated.start(hsm)
      await simulated.clock.run(3 * LONG_MS)

      assertSame(survivors)
      for (const hsm of survivors) {
        for (const { entry, copies } of acknowledged) {
          if (copies < 2) continue
          const standing = hsm.disk.records.get(entry.path)
          assert.ok(standing, `${entry.path} is lost`)
          assert.ok(!isNewer(entry, standing), `${entry.path} fell behind an acknowledged version`)
        }
        for (const [path, { version, value: bytes }] of hsm.disk.records) {
          const key = stamp(path, version)
          if (written.has(key)) assert.equal(bytes?.toString(), written.get(key))
        }
      }
      for (const hsm of survivors) simulated.crash(hsm)
    }),
    { seed: 20_260_701, numRuns: 40 },
  )
})

const stamp = (path: string, { counter, hsmId }: RecordVersion) => `${path} ${counter}@${hsmId}`

async function take(
  simulated: SimulatedCluster,
  step: Step,
  acknowledged: Acknowledged[],
  written: Map<string, string | undefined>,
): Promise<void> {
  if (step.do === 'heal') simulated.heal()
  if (step.do === 'pass') await simulated.clock.run(step.ms)
  const hsm = 'hsm' in step ? simulated.hsms[step.hsm] : undefined
  if (!hsm) return
  if (step.do === 'crash') simulated.crash(hsm)
  if (step.do === 'start' && !hsm.running) await simulated.start(hsm)
  if (step.do === 'freeze') hsm.frozen = true
  if (step.do === 'sever') {
    const other = simulated.hsms[step.other]
    if (other && other !== hsm) simulated.sever(hsm, other)
  }
  if (step.do !== 'write' || !hsm.running) return
  const { store, replicator } = hsm.running
  const text = step.deletes ? undefined : `${step.path} at ${simulated.clock.now}`
  // Not waited for: the next step may come before, and a crash in between leaves it unanswered.
  void store
    .write([{ path: `keys/${step.path}`, value: text === undefined ? text : value(text) }])
    .then(async (entries) => {
      for (const entry of entries) written.set(stamp(entry.path, entry.version), text)
      const copies = await replicator.spread(entries, SPREAD_MS)
      for (const entry of entries) acknowledged.push({ entry, copies })
    })
}

test("every HSM hears how far the others' audit logs are", async () => {
  const { simulated, one, two, three } = await cluster(3)
  await write(simulated, one, 'keys/1', 'a')
  await simulated.clock.run(LONG_MS)
  for (const hsm of [two, three]) {
    assert.equal(hsm.running?.auditHeads.get(one.id)?.events, one.disk.lastSeq)
  }
  assert.deepEqual([...(one.running?.auditHeads.keys() ?? [])].sort(), [two.id, three.id])
})
