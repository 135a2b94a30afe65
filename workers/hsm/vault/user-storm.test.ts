/**
 * What every user is promised, whatever the network does: users are made and deleted, their passwords and keys for logins
 * changed and their accounts locked by the vault's own code on each simulated HSM. A failing case prints its seed and its
 * plan, which make the same world again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { inStorms } from '../../../test/support/storms.ts'
import { liveWithUsers, userPlans, userStorm, victims } from './testing/user-storm.ts'

test('no user, password or key for logins that was acknowledged is lost, none that went comes back, and all HSMs agree', (t) =>
  inStorms(t, {
    seed: 20_261_128,
    storms: 40,
    fresh: 5,
    of: [userPlans, fc.nat(), victims],
    happens: (plan, seed, victim) => userStorm(seed, plan, victim),
  }))

test('the same seed and plan make the same world of users, commit by commit and answer by answer', async () => {
  const [sample] = fc.sample(fc.tuple(fc.nat(), userPlans), { seed: 7, numRuns: 1 })
  assert.ok(sample)
  const [seed, plan] = sample
  const worlds = [seed, seed, seed + 1].map((each) => liveWithUsers(each, plan, 0))
  const [one, again, other] = await Promise.all(worlds)
  assert.ok(one && again && other)
  const answers = ({ storm }: typeof one) => storm.changes.map(({ kind, outcome }) => `${kind} ${String(outcome)}`)
  assert.deepEqual(again.storm.vaults.trace, one.storm.vaults.trace)
  assert.deepEqual(answers(again), answers(one))
  assert.notDeepEqual(other.storm.vaults.trace, one.storm.vaults.trace)
  for (const { storm } of [one, again, other]) storm.vaults.end()
})
