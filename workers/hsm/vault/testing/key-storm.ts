/** Storms over the vaults of simulated HSMs: what may happen to a cluster and its keys, and what must hold afterwards. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { HsmError } from '../../protocol/errors.ts'
import { disturb } from './disturb.ts'
import { SimulatedVaults, type Dimensions, type MadeKeys } from './simulated-vaults.ts'

const OWNER = { username: 'owner', role: 'crypto-user' } as const
const ZONES = 3

const ago = fc.nat(4)

/** One thing that happens in a cluster of so many HSMs; the last of them joins when told. */
const stepOf = (hsm: fc.Arbitrary<number>, longestMs: number) =>
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({ do: fc.constant('create' as const), hsm, token: fc.boolean(), pair: fc.boolean() }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('share' as const), hsm, ago }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('rename' as const), hsm, ago }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), hsm, ago }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('register' as const), hsm, user: fc.nat(2) }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(longestMs) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('sever' as const), hsm, other: hsm }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('zone' as const), zone: fc.nat({ max: ZONES - 1 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('alone' as const), hsm }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), hsm }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('start' as const), hsm }) },
    { weight: 1, arbitrary: fc.constant({ do: 'join' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'heal' as const }) },
  )
export type Step = ReturnType<typeof stepOf> extends fc.Arbitrary<infer Each> ? Each : never

/** What happens is about any of the HSMs, and of many about a few of them more often: else hardly two things meet. */
export function plansFor(count: number, length = { minLength: 15, maxLength: 60 }): fc.Arbitrary<Step[]> {
  const any = fc.nat({ max: count - 1 })
  const hsm = count > 6 ? fc.oneof(any, { weight: 3, arbitrary: fc.nat({ max: 5 }) }) : any
  return fc.array(stepOf(hsm, count > 6 ? 1_000 : 3_000), length)
}

async function take(vaults: SimulatedVaults, each: Step): Promise<void> {
  const on = await disturb(vaults, each, ZONES)
  if (!on) return
  if (each.do === 'create') vaults.create(on, each)
  if (each.do === 'share') vaults.share(on, each.ago)
  if (each.do === 'rename') vaults.rename(on, each.ago)
  if (each.do === 'delete') vaults.delete(on, each.ago)
  if (each.do === 'register') vaults.register(on, each.user)
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
  const standing = renamed.find(({ label }) => label === first.attributes.label)
  assert.ok(!(standing?.outcome instanceof HsmError), `the refused label ${standing?.label} of ${first.handle} stands`)
  if (renamed.some(({ outcome }) => outcome === 'done')) assert.ok(standing, `no label of ${first.handle} stands`)
}

/** A world of this seed after all of the plan has happened and everything is calm again. */
export async function live(dimensions: Dimensions, seed: number, plan: readonly Step[]): Promise<SimulatedVaults> {
  const vaults = new SimulatedVaults(dimensions, seed)
  await vaults.begin()
  for (const each of plan) await take(vaults, each)
  await vaults.settle()
  return vaults
}

/** Throws when a promise was broken. Gives how often what was done. */
function judge(vaults: SimulatedVaults) {
  assert.deepEqual(vaults.defects, [])
  assert.deepEqual(vaults.collisions, [], 'two keys had one handle')
  const [first, ...others] = vaults.hsms.map((on) => told(vaults, on))
  assert.ok(first)
  for (const other of others) assert.deepEqual(other, first)
  for (const made of vaults.made) assertKept(made, first)
  const done = (asked: readonly { readonly outcome: unknown }[]) =>
    asked.filter(({ outcome }) => outcome === 'done').length
  return {
    made: done(vaults.made),
    refused: vaults.made.filter(({ outcome }) => outcome instanceof HsmError).length,
    session: done(vaults.made.filter(({ token }) => !token)),
    shared: done(vaults.made.flatMap(({ shared }) => shared)),
    renamed: done(vaults.made.flatMap(({ renamed }) => renamed)),
    deleted: done(vaults.made.flatMap(({ deleted }) => deleted)),
    registered: done(vaults.registered),
    joined: vaults.hsms.length === vaults.simulated.hsms.length ? 1 : 0,
  }
}

/** One storm of keys: throws when a promise was broken. Gives how often what was done. */
export async function keyStorm(dimensions: Dimensions, seed: number, plan: readonly Step[]) {
  const vaults = await live(dimensions, seed, plan)
  const seen = judge(vaults)
  vaults.end()
  return seen
}
