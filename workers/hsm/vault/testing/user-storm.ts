/** Storms of users: what may happen to a cluster and its users, and what must hold afterwards. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { HsmError } from '../../protocol/errors.ts'
import { ROLES } from '../../protocol/values.ts'
import type { SimulatedHsm } from '../../replication/testing/simulation.ts'
import { disturb } from './disturb.ts'
import { SimulatedUsers, type Change, type Standing } from './simulated-users.ts'

const COUNT = 4
const DIMENSIONS = { count: COUNT, calmMs: 15_000 }
const ZONES = 2
/** The first two are there from the beginning. */
const NAMES = ['user_1', 'user_2', 'new_1', 'new_2', 'new_3'] as const

const hsm = fc.nat({ max: COUNT - 1 })
const user = fc.constantFrom(...NAMES)
const role = fc.constantFrom(...ROLES)
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('create' as const), hsm, user, role }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), hsm, user }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('password' as const), hsm, user }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mfa' as const), hsm, user, wanted: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('guess' as const), hsm, user }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('key' as const), hsm, user }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(3_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sever' as const), hsm, other: hsm }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('zone' as const), zone: fc.nat({ max: ZONES - 1 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('alone' as const), hsm }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), hsm }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('start' as const), hsm }) },
  { weight: 1, arbitrary: fc.constant({ do: 'join' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'heal' as const }) },
)
type Step = typeof step extends fc.Arbitrary<infer Each> ? Each : never
/** Of the members from the beginning, the one that is lost for good in the end, if any. */
export const victims = fc.option(fc.nat({ max: COUNT - 2 }), { nil: undefined })
export const userPlans = fc.array(step, { minLength: 30, maxLength: 90 })

async function take(storm: SimulatedUsers, each: Step): Promise<void> {
  const on = await disturb(storm.vaults, each, ZONES)
  if (!on) return
  if (each.do === 'create') storm.create(on, each.user, each.role)
  if (each.do === 'delete') storm.delete(on, each.user)
  if (each.do === 'password') storm.changePassword(on, each.user)
  if (each.do === 'mfa') storm.changeMfa(on, each.user, each.wanted)
  if (each.do === 'guess') storm.guess(on, each.user)
  if (each.do === 'key') storm.makeKey(on, each.user)
}

const isDone = ({ outcome }: { readonly outcome: unknown }) => outcome === 'done'

/** What of this user was changed, in the order it was asked for. */
const changesOf = (changes: readonly Change[], kinds: readonly Change['kind'][], id: string) =>
  changes.filter(({ kind, about }) => kinds.includes(kind) && about.has(id))

/**
 * The user stands: nobody who knew of it was told that it is deleted, and what stands of it is the newest. What the HSM
 * that is lost took back it may have told nobody.
 */
function assertStands(standing: Standing, changes: readonly Change[], lost: SimulatedHsm | undefined): void {
  const { id, password, key } = standing
  const isRefused = ({ outcome, on }: Change) => outcome instanceof HsmError && on !== lost
  for (const { kind, target, outcome } of changes) {
    if (kind === 'delete' && target === id) assert.notEqual(outcome, 'done', `${id} was deleted and is back`)
  }
  const [creation] = changesOf(changes, ['create'], id)
  const passwords = changesOf(changes, ['create', 'password'], id)
  // An HSM that had heard of it may have changed it before it was taken back: then that stands.
  const takenUp = passwords.some((change) => change !== creation && !isRefused(change))
  if (creation && isRefused(creation)) assert.ok(takenUp, `${id} was refused and is there`)
  const set = passwords.find(({ content }) => content === password)
  if (set) assert.ok(!isRefused(set), `the password ${password} of ${id} was refused and stands`)
  for (const later of passwords) {
    if (later.content === password || !later.known.has(password)) continue
    assert.ok(!isDone(later), `${password} of ${id} stands, and ${later.content} was acknowledged after it`)
  }
  const keys = changesOf(changes, ['mfa'], id)
  const registered = keys.find(({ content }) => content === key)
  if (registered) assert.ok(!isRefused(registered), `the key ${key} of ${id} was refused and stands`)
  for (const later of keys) {
    if (key === null || later.content === key || !later.known.has(key)) continue
    assert.ok(!isDone(later), `key ${key} of ${id} stands, and ${later.content} was acknowledged after it`)
  }
  const ended = changes.some((each) => each.kind === 'mfa' && each.content === null && !isRefused(each))
  if (key === null && !ended) assert.ok(!keys.some(isDone), `no key of ${id} stands, and one was acknowledged`)
}

/** No user of the name is there: each that was acknowledged was deleted by somebody who knew of it. */
function assertExplained(username: string, changes: readonly Change[], lost: SimulatedHsm | undefined): void {
  for (const creation of changes) {
    if (creation.kind !== 'create' || !isDone(creation)) continue
    const [id] = creation.about
    assert.ok(id, `${username} was acknowledged and never written`)
    const ended = changes.some(
      (other) =>
        other !== creation &&
        (!(other.outcome instanceof HsmError) || other.on === lost) &&
        (other.kind === 'delete' || (other.kind === 'create' && other.on === creation.on)) &&
        other.knownInTheEnd.has(id),
    )
    assert.ok(ended, `${id} of the name ${username} was acknowledged and is lost`)
  }
}

async function judge(storm: SimulatedUsers, lost: SimulatedHsm | undefined): Promise<void> {
  const { vaults, changes } = storm
  assert.deepEqual(vaults.defects, [])
  for (const username of NAMES) {
    const [standing, ...others] = vaults.hsms.map((on) => storm.standing(on, username))
    for (const other of others) assert.deepEqual(other, standing, `HSMs differ about ${username}`)
    const ofName = changes.filter((change) => change.username === username)
    if (standing) assertStands(standing, ofName, lost)
    else assertExplained(username, ofName, lost)
  }
  const [first, ...others] = vaults.hsms.map((on) => vaults.usersOn(on).list())
  for (const list of others) {
    const unlocked = (all: typeof first) => all?.map((each) => ({ ...each, locked: false, coverage: '' }))
    assert.deepEqual(unlocked(list), unlocked(first))
  }
  for (const change of storm.deletionsOfOwners) assert.ok(!isDone(change), `${change.username} owned keys`)
  for (const { handle, owner, outcome } of storm.ownedKeys) {
    if (outcome !== 'done' || handle === undefined) continue
    for (const on of vaults.hsms) {
      const [found] = vaults.keysOn(on).describe({ username: 'user_0', role: 'admin' }, [handle])
      assert.equal(found?.owner, owner, `the key ${handle} of ${owner} is lost`)
    }
  }
  await judgeLogins(storm)
}

/** Locks hold where the account was guessed at, and until the password is another; what stands is what logs in. */
async function judgeLogins(storm: SimulatedUsers): Promise<void> {
  const { vaults, locks } = storm
  for (const on of vaults.hsms) {
    for (const username of NAMES) {
      const standing = storm.standing(on, username)
      if (!standing) continue
      const { password } = standing
      const locked = vaults
        .usersOn(on)
        .list()
        .some((each) => each.username === username && each.locked)
      const expected = locks.some((lock) => lock.on === on && lock.username === username && lock.password === password)
      if (expected) assert.ok(locked, `${username} was locked on ${on.id} and is not`)
      if (locked) await assert.rejects(storm.login(on, username, password), { code: 'UserLocked' })
      else {
        await storm.login(on, username, password)
        await assert.rejects(storm.login(on, username, 'another'), { code: 'LoginFailed' })
      }
    }
  }
}

/** A world of this seed after all of the plan has happened and everything is calm again. */
export async function liveWithUsers(seed: number, plan: readonly Step[], victim: number | undefined) {
  const storm = new SimulatedUsers(DIMENSIONS, seed)
  const { vaults } = storm
  await vaults.begin()
  for (const each of plan) await take(storm, each)
  const lost = victim === undefined ? undefined : vaults.simulated.hsms[victim]
  await vaults.settle(lost)
  return { storm, lost }
}

/** One storm of users: throws when a promise was broken. Gives how often what was done. */
export async function userStorm(seed: number, plan: readonly Step[], victim: number | undefined) {
  const { storm, lost } = await liveWithUsers(seed, plan, victim)
  const { vaults, changes } = storm
  await judge(storm, lost)
  vaults.end()
  const done = (kind: Change['kind']) => changes.filter((change) => change.kind === kind && isDone(change)).length
  return {
    created: done('create'),
    deleted: done('delete'),
    passwords: done('password'),
    keys: done('mfa'),
    refused: changes.filter(({ outcome }) => outcome instanceof HsmError && outcome.code === 'NotEnoughCopies').length,
    unanswered: changes.filter(({ outcome }) => outcome === 'unanswered').length,
    locked: storm.locks.length,
    owners: storm.deletionsOfOwners.length,
    joined: vaults.simulated.hsms.every((each) => each === lost || vaults.hsms.includes(each)) ? 1 : 0,
  }
}
