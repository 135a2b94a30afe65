/**
 * A model of what a cluster promises about keys, against replicators on a simulated network: messages late, twice or never,
 * partitions, crashes, an HSM that joins in the middle, another that is lost for good. A failing case prints its seed and
 * its plan, which make the same world again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HsmError } from '../protocol/errors.ts'
import { fleetPki } from '../testing/pki.ts'
import { SPREAD_TIMEOUT_MS, writeReplicated } from '../vault/replicated-write.ts'
import { SimulatedCluster, type SimulatedHsm, type Weather } from './testing/simulation.ts'

const pki = fleetPki()
const CALM: Weather = { delayMs: 2, loss: 0, diskMs: 2 }
const STORM: Weather = { delayMs: 40, loss: 0.02, duplication: 0.05, diskMs: 10 }
/** Longer than any back-off, call and pull interval together. */
const LONG_MS = 30_000
const MEMBERS = 3
/** Of the one that joins while the storm blows. */
const NEWCOMER = MEMBERS

type Step =
  | { readonly do: 'create'; readonly hsm: number }
  /** Of the key that was created so many creations ago. */
  | { readonly do: 'delete'; readonly hsm: number; readonly ago: number }
  | { readonly do: 'sever'; readonly hsm: number; readonly other: number }
  | { readonly do: 'crash'; readonly hsm: number }
  | { readonly do: 'start'; readonly hsm: number }
  | { readonly do: 'freeze'; readonly hsm: number }
  | { readonly do: 'join' }
  | { readonly do: 'heal' }
  | { readonly do: 'pass'; readonly ms: number }

const anyHsm = fc.nat({ max: NEWCOMER })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('create' as const), hsm: anyHsm }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), hsm: anyHsm, ago: fc.nat(5) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(4_000) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), hsm: anyHsm }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('start' as const), hsm: anyHsm }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('freeze' as const), hsm: anyHsm }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('sever' as const), hsm: anyHsm, other: anyHsm }) },
    { weight: 1, arbitrary: fc.constant({ do: 'join' as const }) },
    { weight: 2, arbitrary: fc.constant({ do: 'heal' as const }) },
  ),
  { minLength: 10, maxLength: 60 },
)

/** What somebody who made a key knows of it. */
interface Key {
  readonly path: string
  readonly madeOn: SimulatedHsm
  /** `unknown`: no answer came, as from an HSM that was killed. */
  creation: 'unknown' | 'acknowledged' | 'refused'
  deletionAsked: boolean
  /** Where a deletion was acknowledged. */
  deletedOn: SimulatedHsm | undefined
}

class Storm {
  readonly simulated: SimulatedCluster
  readonly keys: Key[] = []
  readonly #joined = new Set<SimulatedHsm>()
  #joining = false

  constructor(seed: number) {
    this.simulated = new SimulatedCluster(pki, { count: MEMBERS + 1, seed, weather: CALM })
  }

  get hsms(): readonly SimulatedHsm[] {
    return this.simulated.hsms.filter((hsm) => this.#joined.has(hsm))
  }

  async begin(): Promise<void> {
    const { simulated } = this
    const first = simulated.hsms.slice(0, MEMBERS)
    await simulated.setMembers(first.map(({ id }) => id))
    for (const [i, hsm] of first.entries()) {
      await simulated.start(hsm, { found: i === 0 })
      if (i > 0) await simulated.clock.runUntil(simulated.join(hsm))
      this.#joined.add(hsm)
    }
    await simulated.clock.run(LONG_MS)
    simulated.weather = STORM
  }

  async take(step: Step): Promise<void> {
    const { simulated } = this
    if (step.do === 'heal') simulated.heal()
    if (step.do === 'pass') await simulated.clock.run(step.ms)
    if (step.do === 'join') await this.#join()
    const hsm = 'hsm' in step ? simulated.hsms[step.hsm] : undefined
    if (!hsm || !this.#joined.has(hsm)) return
    if (step.do === 'crash') simulated.crash(hsm)
    if (step.do === 'start' && !hsm.running) await simulated.start(hsm)
    if (step.do === 'freeze') hsm.frozen = true
    if (step.do === 'sever') {
      const other = simulated.hsms[step.other]
      if (other && other !== hsm) simulated.sever(hsm, other)
    }
    if (step.do === 'create') this.#create(hsm)
    if (step.do === 'delete') this.#delete(hsm, step.ago)
  }

  /** Nothing disturbs them any more; `lost` never comes back. */
  async settle(lost: SimulatedHsm): Promise<SimulatedHsm[]> {
    const { simulated } = this
    simulated.crash(lost)
    simulated.weather = CALM
    simulated.heal()
    const survivors = this.hsms.filter((hsm) => hsm !== lost)
    for (const hsm of survivors) if (!hsm.running) await simulated.start(hsm)
    await simulated.clock.run(LONG_MS)
    return survivors
  }

  /** Not waited for: the next step may come before, and a crash in between leaves it unanswered. */
  #create(hsm: SimulatedHsm): void {
    if (!hsm.running) return
    const path = `keys/${this.keys.length}`
    const key: Key = { path, madeOn: hsm, creation: 'unknown', deletionAsked: false, deletedOn: undefined }
    this.keys.push(key)
    const vaulted = { store: hsm.running.store, replication: hsm.running.replicator }
    writeReplicated(vaulted, [{ path, value: Buffer.from(path) }], { copies: 2, refusal: '' }).then(
      () => (key.creation = 'acknowledged'),
      (error: unknown) => {
        assert.ok(error instanceof HsmError && error.code === 'NotEnoughCopies')
        key.creation = 'refused'
      },
    )
  }

  #delete(hsm: SimulatedHsm, ago: number): void {
    const key = this.keys.at(-1 - ago)
    // As the vault does it: what an HSM does not have it does not delete.
    if (!key || !hsm.running?.store.get(key.path)?.value) return
    const { store, replicator } = hsm.running
    key.deletionAsked = true
    void store.write([{ path: key.path, value: undefined }]).then(async (entries) => {
      await replicator.spread(entries, SPREAD_TIMEOUT_MS)
      key.deletedOn ??= hsm
    })
  }

  async #join(): Promise<void> {
    const { simulated } = this
    const newcomer = simulated.hsms[NEWCOMER]
    if (!newcomer || this.#joining) return
    this.#joining = true
    // The control plane tells them one after another, and only those that run.
    await simulated.setMembers(simulated.hsms.map(({ id }) => id))
    await simulated.start(newcomer)
    void simulated.join(newcomer).then(
      () => this.#joined.add(newcomer),
      // Nobody let it in: the control plane would try again, the test does not.
      () => simulated.crash(newcomer),
    )
  }
}

function assertPromises(keys: readonly Key[], survivors: readonly SimulatedHsm[], lost: SimulatedHsm): void {
  for (const key of keys) {
    const held = survivors.map(({ disk }) => disk.records.get(key.path)?.value !== undefined)
    const [first] = held
    assert.ok(
      held.every((each) => each === first),
      `${key.path} is on some HSMs and not on others`,
    )
    if (key.creation === 'acknowledged' && !key.deletionAsked)
      assert.ok(first, `${key.path} was acknowledged and is lost`)
    // The undoing, or the deletion, lies at least on the HSM that said so.
    if (key.creation === 'refused' && key.madeOn !== lost) assert.ok(!first, `${key.path} was refused and is there`)
    if (key.deletedOn && key.deletedOn !== lost) assert.ok(!first, `${key.path} was deleted and came back`)
  }
}

test('no acknowledged key is lost, no deleted or refused one comes back, and all HSMs end up the same', async () => {
  const seen = { acknowledged: 0, refused: 0, deleted: 0, joined: 0 }
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), fc.nat({ max: MEMBERS - 1 }), async (plan, seed, victim) => {
      const storm = new Storm(seed)
      await storm.begin()
      for (const step of plan) await storm.take(step)
      const lost = storm.simulated.hsms[victim]
      assert.ok(lost)
      const survivors = await storm.settle(lost)
      assertPromises(storm.keys, survivors, lost)
      seen.acknowledged += storm.keys.filter(({ creation }) => creation === 'acknowledged').length
      seen.refused += storm.keys.filter(({ creation }) => creation === 'refused').length
      seen.deleted += storm.keys.filter(({ deletedOn }) => deletedOn).length
      seen.joined += survivors.some(({ id }) => id === storm.simulated.hsms[NEWCOMER]?.id) ? 1 : 0
      for (const hsm of survivors) storm.simulated.crash(hsm)
    }),
    {
      seed: Number(process.env['STRONGROOM_STORM_SEED'] ?? 20_261_124),
      numRuns: Number(process.env['STRONGROOM_STORMS'] ?? 40),
    },
  )
  // The storms must have had something of everything to say anything.
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `no storm had anything ${what}`)
})

test('a full cluster of 28 HSMs keeps itself the same', async () => {
  const simulated = new SimulatedCluster(pki, { count: 28, seed: 28, weather: CALM })
  const [first, ...others] = simulated.hsms
  assert.ok(first)
  await simulated.setMembers(simulated.hsms.map(({ id }) => id))
  await simulated.start(first, { found: true })
  for (const hsm of others) {
    await simulated.start(hsm)
    await simulated.clock.runUntil(simulated.join(hsm))
  }
  await simulated.clock.run(5_000)
  const writes = simulated.hsms.map(async ({ running, id }) => {
    assert.ok(running)
    const entries = await running.store.write([{ path: `keys/${id}`, value: Buffer.from(id) }])
    return running.replicator.spread(entries, SPREAD_TIMEOUT_MS)
  })
  const copies = Promise.all(writes)
  await simulated.clock.runUntil(copies)
  assert.deepEqual(
    await copies,
    Array.from({ length: 28 }, () => 28),
  )
  for (const { disk } of simulated.hsms) {
    for (const { id } of simulated.hsms) assert.ok(disk.records.get(`keys/${id}`)?.value, `${id}'s key is missing`)
  }
  for (const hsm of simulated.hsms) simulated.crash(hsm)
})
