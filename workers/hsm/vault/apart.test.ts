/**
 * What HSMs that cannot reach each other may do, and what is left when they can again: users and keys over replicators
 * on a simulated network.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HsmError } from '../protocol/errors.ts'
import { SimulatedCluster, type SimulatedHsm, type Weather } from '../replication/testing/simulation.ts'
import { fleetPki } from '../testing/pki.ts'
import { hashPassword } from './passwords.ts'
import { encodeUser, userPath } from './user-record.ts'
import { attributesAtCreation } from './attributes.ts'
import { encodeKey, keyPath } from './key-record.ts'
import { Keys } from './keys.ts'
import { generateSecret } from '../mechanisms/secret-keys.ts'
import { capacityOf } from '../policy/hsm-types.ts'
import { Users } from './users.ts'
import { withoutKeys } from './testing/without-keys.ts'

const pki = fleetPki()
const CALM: Weather = { delayMs: 2, loss: 0, diskMs: 2 }
const STORM: Weather = { delayMs: 40, loss: 0.01, duplication: 0.05, diskMs: 10 }
const LONG_MS = 30_000
const password = await hashPassword('not-used-1')

/** An admin's deletion, as whoever asked for it saw it. */
interface Deletion {
  readonly username: string
  outcome: 'unanswered' | 'done' | HsmError
}

class Apart {
  readonly simulated: SimulatedCluster
  readonly #users = new Map<SimulatedHsm, Users>()

  constructor(count: number, seed = 1) {
    this.simulated = new SimulatedCluster(pki, { count, seed, weather: CALM })
  }

  get hsms(): readonly SimulatedHsm[] {
    return this.simulated.hsms
  }

  async begin(admins: readonly string[]): Promise<void> {
    const { simulated } = this
    await simulated.setMembers(this.hsms.map(({ id }) => id))
    for (const [i, hsm] of this.hsms.entries()) {
      await this.start(hsm, i === 0)
      if (i > 0) await simulated.clock.runUntil(simulated.join(hsm))
    }
    const users = admins.map((username) => ({ username, role: 'admin', password }) as const)
    const writes = users.map((user) => ({ path: userPath(user.username), value: encodeUser(user) }))
    await simulated.clock.runUntil(this.hsms[0]?.running?.store.write(writes) ?? Promise.resolve())
    await simulated.clock.run(LONG_MS)
  }

  async start(hsm: SimulatedHsm, found = false): Promise<void> {
    const { store, replicator } = await this.simulated.start(hsm, { found })
    const vaulted = { store, replication: replicator, hsmType: () => 'hsm2m.medium' }
    this.#users.set(hsm, new Users({ ...vaulted, ...withoutKeys }))
  }

  /** No message passes between an HSM of this side and another one. */
  split(side: readonly number[]): void {
    for (const [i, one] of this.hsms.entries()) {
      for (const [j, other] of this.hsms.entries()) {
        if (i < j && side.includes(i) !== side.includes(j)) this.simulated.sever(one, other)
      }
    }
  }

  /** Not waited for. */
  delete(on: number, username: string): Deletion {
    const deletion: Deletion = { username, outcome: 'unanswered' }
    const hsm = this.hsms[on]
    if (!hsm?.running) return deletion
    void Promise.resolve(this.#users.get(hsm)?.delete({ username, role: 'admin' })).then(
      () => (deletion.outcome = 'done'),
      (error: unknown) => {
        assert.ok(error instanceof HsmError, String(error))
        deletion.outcome = error
      },
    )
    return deletion
  }

  async settle(): Promise<void> {
    this.simulated.weather = CALM
    this.simulated.heal()
    for (const hsm of this.hsms) if (!hsm.running) await this.start(hsm)
    await this.simulated.clock.run(LONG_MS)
  }

  /** The admins, on whom all HSMs agree. */
  admins(): string[] {
    const [first = [], ...others] = this.hsms.map((hsm) =>
      (this.#users.get(hsm)?.list() ?? []).filter(({ role }) => role === 'admin').map(({ username }) => username),
    )
    for (const other of others) assert.deepEqual(other, first)
    return first
  }

  end(): void {
    for (const hsm of this.hsms) this.simulated.crash(hsm)
  }
}

const codeOf = ({ outcome }: Deletion) => (outcome instanceof HsmError ? outcome.code : outcome)

test('two halves of a cluster delete no admin, and both are there when they meet again', async () => {
  const apart = new Apart(4)
  await apart.begin(['one', 'two'])
  apart.split([0, 1])
  const asked = [apart.delete(0, 'one'), apart.delete(2, 'two')]
  await apart.simulated.clock.run(LONG_MS)
  assert.deepEqual(asked.map(codeOf), ['NotEnoughCopies', 'NotEnoughCopies'])
  await apart.settle()
  assert.deepEqual(apart.admins(), ['one', 'two'])
  const last = apart.delete(0, 'one')
  await apart.simulated.clock.run(LONG_MS)
  assert.equal(codeOf(last), 'done', 'nothing is left of what was refused')
  assert.deepEqual(apart.admins(), ['two'])
  apart.end()
})

test('the side that has a majority deletes an admin, the other side none', async () => {
  const apart = new Apart(5)
  await apart.begin(['one', 'two'])
  apart.split([3, 4])
  const asked = [apart.delete(0, 'one'), apart.delete(4, 'two')]
  await apart.simulated.clock.run(LONG_MS)
  assert.deepEqual(asked.map(codeOf), ['done', 'NotEnoughCopies'])
  await apart.settle()
  assert.deepEqual(apart.admins(), ['two'])
  apart.end()
})

test('an HSM killed in the middle of deleting an admin leaves no way to lose the other one too', async () => {
  const apart = new Apart(3)
  await apart.begin(['one', 'two'])
  const [first] = apart.hsms
  assert.ok(first)
  for (let ms = 1; ms <= 40; ms += 3) {
    apart.delete(0, 'one')
    await apart.simulated.clock.run(ms)
    apart.simulated.crash(first)
    apart.delete(1, 'two')
    await apart.simulated.clock.run(LONG_MS)
    await apart.settle()
    const left = apart.admins()
    assert.ok(left.length > 0, `no admin is left after a kill at ${ms} ms`)
    if (left.length < 2) break
  }
  apart.end()
})

test('whatever the network does and whoever is killed, some admin is left, and who was deleted stays deleted', async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('delete' as const), hsm: fc.nat(4), admin: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(3_000) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('split' as const), side: fc.subarray([0, 1, 2, 3, 4]) }) },
    { weight: 2, arbitrary: fc.constant({ do: 'heal' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), hsm: fc.nat(4) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('start' as const), hsm: fc.nat(4) }) },
  )
  const seen = { done: 0, refused: 0 }
  const plans = fc.array(step, { minLength: 8, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(plans, fc.integer({ min: 3, max: 5 }), fc.nat(), async (plan, count, seed) => {
      const apart = new Apart(count, seed)
      await apart.begin(['a0', 'a1', 'a2'])
      apart.simulated.weather = STORM
      const asked: Deletion[] = []
      for (const each of plan) {
        const hsm = 'hsm' in each ? apart.hsms[each.hsm] : undefined
        if (each.do === 'pass') await apart.simulated.clock.run(each.ms)
        if (each.do === 'split') apart.split(each.side)
        if (each.do === 'heal') apart.simulated.heal()
        if (each.do === 'crash' && hsm) apart.simulated.crash(hsm)
        if (each.do === 'start' && hsm && !hsm.running) await apart.start(hsm)
        if (each.do === 'delete') asked.push(apart.delete(each.hsm, `a${each.admin}`))
      }
      await apart.settle()
      const left = apart.admins()
      assert.ok(left.length > 0, 'no admin is left')
      for (const { username, outcome } of asked) {
        if (outcome === 'done') assert.ok(!left.includes(username), `${username} was deleted and is back`)
        seen.done += outcome === 'done' ? 1 : 0
        seen.refused += outcome instanceof HsmError ? 1 : 0
      }
      apart.end()
    }),
    {
      seed: Number(process.env['STRONGROOM_STORM_SEED'] ?? 20_261_125),
      numRuns: Number(process.env['STRONGROOM_STORMS'] ?? 12),
    },
  )
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `no deletion was ${what}`)
})

test('HSMs apart may hold too many keys between them: all of those work, and no more are made until some are gone', async () => {
  const { keys: most } = capacityOf('hsm1.medium')
  const apart = new Apart(2)
  await apart.begin(['one'])
  const owner = { username: 'alice', role: 'crypto-user' } as const
  const [one, two] = apart.hsms.map(({ running }) => {
    assert.ok(running)
    const keys = new Keys({
      store: running.store,
      replication: running.replicator,
      hsmType: () => 'hsm1.medium',
      userExists: () => true,
      isCryptoUser: () => true,
      keySeparation: 'trusted',
    })
    const scope = { handles: new Set<string>() }
    const create = (template = {}) =>
      keys.create({
        owner,
        scope,
        requireTwoCopies: false,
        orders: [{ class: 'secret-key', template }],
        generate: () => [generateSecret('aes', 16)],
      })
    return { store: running.store, keys, create }
  })
  assert.ok(one && two)
  const { clock } = apart.simulated
  const within = async <Result>(work: Promise<Result>) => {
    const settled = Promise.allSettled([work])
    await clock.runUntil(settled)
    return work
  }
  const filling = Array.from({ length: most - 2 }, (_, i) => {
    const { attributes, bytes } = generateSecret('aes', 16)
    const given = attributesAtCreation('secret-key', {}, attributes, { origin: 'generate', defaults: 'cli' })
    const value = encodeKey({ owner: 'alice', sharedWith: [], attributes: given, material: bytes })
    return { path: keyPath(`0x${(i + 1).toString(16).padStart(16, '0')}`), value }
  })
  await within(one.store.write(filling))
  await clock.run(LONG_MS)
  assert.deepEqual([one.keys.count, two.keys.count], [most - 2, most - 2])

  apart.split([0])
  for (const { create } of [one, two]) for (let i = 0; i < 2; i++) await within(create())
  await apart.settle()
  for (const { keys, create } of [one, two]) {
    assert.equal(keys.count, most + 2)
    const { keys: all } = keys.find(owner, { attributes: {} }, { offset: 0, limit: most + 2 })
    for (const { handle } of all) assert.equal(keys.usable(owner, handle, true).handle, handle)
    for (const template of [{}, { token: false }])
      await assert.rejects(within(create(template)), { code: 'LimitExceeded' })
  }
  const surplus = one.keys.find(owner, { attributes: {} }, { offset: 0, limit: 3 }).keys
  for (const { handle } of surplus) await within(two.keys.delete(owner, handle))
  await clock.run(LONG_MS)
  assert.deepEqual([one.keys.count, two.keys.count], [most - 1, most - 1])
  await within(one.create())
  apart.end()
})
