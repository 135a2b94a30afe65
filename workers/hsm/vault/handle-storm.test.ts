/**
 * What every key is promised, whatever the network does: a handle that no other key has or ever had, on any HSM. Keys are
 * made, changed and deleted by the vault's own code on each simulated HSM. A failing case prints its seed and its plan,
 * which make the same world again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HsmError } from '../protocol/errors.ts'
import { SimulatedVaults, type MadeKeys } from './testing/simulated-vaults.ts'

const OWNER = { username: 'owner', role: 'crypto-user' } as const
const COUNT = 4

const hsm = fc.nat({ max: COUNT - 1 })
const ago = fc.nat(4)
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('create' as const), hsm, token: fc.boolean(), pair: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('share' as const), hsm, ago }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('rename' as const), hsm, ago }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), hsm, ago }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('register' as const), hsm, user: fc.nat(2) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(3_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sever' as const), hsm, other: hsm }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), hsm }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('start' as const), hsm }) },
  { weight: 1, arbitrary: fc.constant({ do: 'join' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'heal' as const }) },
)
type Step = typeof step extends fc.Arbitrary<infer Each> ? Each : never
const plans = fc.array(step, { minLength: 15, maxLength: 60 })

async function take(vaults: SimulatedVaults, each: Step): Promise<void> {
  const { simulated } = vaults
  if (each.do === 'heal') simulated.heal()
  if (each.do === 'pass') await simulated.clock.run(each.ms)
  if (each.do === 'join') await vaults.join()
  const on = 'hsm' in each ? simulated.hsms[each.hsm] : undefined
  if (!on || !vaults.hsms.includes(on)) return
  if (each.do === 'crash') simulated.crash(on)
  if (each.do === 'start' && !on.running) await vaults.start(on)
  if (each.do === 'sever') {
    const other = simulated.hsms[each.other]
    if (other && other !== on) simulated.sever(on, other)
  }
  if (each.do === 'create') vaults.create(on, each)
  if (each.do === 'share') vaults.share(on, each.ago)
  if (each.do === 'rename') vaults.rename(on, each.ago)
  if (each.do === 'delete') vaults.delete(on, each.ago)
  if (each.do === 'register') vaults.register(on, each.user)
}

async function live(seed: number, plan: readonly Step[]): Promise<SimulatedVaults> {
  const vaults = new SimulatedVaults(COUNT, seed)
  await vaults.begin()
  for (const each of plan) await take(vaults, each)
  await vaults.settle()
  return vaults
}

/** What an HSM says of its token keys and its users, without what depends on whom it is connected to. */
function told(vaults: SimulatedVaults, on: SimulatedVaults['hsms'][number]) {
  const { keys } = vaults.keysOn(on).find(OWNER, { attributes: { token: true } }, { offset: 0, limit: 1_000 })
  return { keys: keys.map((key) => ({ ...key, coverage: '' })), users: vaults.usersOn(on).list() }
}

function assertKept({ token, outcome, handles, deleted, shared, renamed }: MadeKeys, all: ReturnType<typeof told>) {
  if (!token || outcome !== 'done') return
  const [first] = handles.map((handle) => all.keys.find((key) => key.handle === handle))
  if (deleted.some(({ outcome }) => outcome === 'done')) {
    assert.equal(first, undefined, `${handles[0]} was deleted and is back`)
    return
  }
  if (deleted.length > 0) return
  assert.ok(first, `${handles[0]} was acknowledged and is lost`)
  for (const { username, outcome } of shared) {
    const has = first.sharedWith.includes(username)
    if (outcome === 'done') assert.ok(has, `the sharing of ${first.handle} with ${username} is lost`)
    if (outcome instanceof HsmError) assert.ok(!has, `the sharing with ${username} was refused and is there`)
  }
  const [renaming, ...others] = renamed
  if (renaming?.outcome === 'done' && others.length === 0) assert.equal(first.attributes.label, renaming.label)
}

test('no two keys ever have one handle, and HSMs agree on every key, its sharing, its attributes and the users', async () => {
  const seen = { made: 0, refused: 0, session: 0, shared: 0, renamed: 0, deleted: 0, registered: 0, joined: 0 }
  await fc.assert(
    fc.asyncProperty(plans, fc.nat(), async (plan, seed) => {
      const vaults = await live(seed, plan)
      assert.deepEqual(vaults.defects, [])
      assert.deepEqual(vaults.collisions, [], 'two keys had one handle')
      const [first, ...others] = vaults.hsms.map((on) => told(vaults, on))
      assert.ok(first)
      for (const other of others) assert.deepEqual(other, first)
      for (const made of vaults.made) assertKept(made, first)
      const done = (asked: readonly { readonly outcome: unknown }[]) =>
        asked.filter(({ outcome }) => outcome === 'done').length
      seen.made += done(vaults.made)
      seen.refused += vaults.made.filter(({ outcome }) => outcome instanceof HsmError).length
      seen.session += done(vaults.made.filter(({ token }) => !token))
      seen.shared += done(vaults.made.flatMap(({ shared }) => shared))
      seen.renamed += done(vaults.made.flatMap(({ renamed }) => renamed))
      seen.deleted += done(vaults.made.flatMap(({ deleted }) => deleted))
      seen.registered += done(vaults.registered)
      seen.joined += vaults.hsms.length === COUNT ? 1 : 0
      vaults.end()
    }),
    {
      seed: Number(process.env['STRONGROOM_STORM_SEED'] ?? 20_261_126),
      numRuns: Number(process.env['STRONGROOM_STORMS'] ?? 15),
    },
  )
  // The storms must have had something of everything to say anything.
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `no storm had anything ${what}`)
})

test('the same seed and plan make the same world, commit by commit', async () => {
  for (const [seed, plan] of fc.sample(fc.tuple(fc.nat(), plans), { seed: 7, numRuns: 2 })) {
    const [one, again] = [await live(seed, plan), await live(seed, plan)]
    assert.ok(one.trace.length > 100)
    assert.deepEqual(again.trace, one.trace)
    const other = await live(seed + 1, plan)
    assert.notDeepEqual(other.trace, one.trace)
    for (const vaults of [one, again, other]) vaults.end()
  }
})
