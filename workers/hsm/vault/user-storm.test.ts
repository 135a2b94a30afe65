/**
 * What every user is promised, whatever the network does: users are made and deleted, their passwords and keys for logins
 * changed and their accounts locked by the vault's own code on each simulated HSM. A failing case prints its seed and its
 * plan, which make the same world again.
 */
import { test } from 'node:test'
import fc from 'fast-check'
import { inStorms } from '../../../test/support/storms.ts'
import { userPlans, userStorm, victims } from './testing/user-storm.ts'

test('no user, password or key for logins that was acknowledged is lost, none that went comes back, and all HSMs agree', (t) =>
  inStorms(t, {
    seed: 20_261_128,
    storms: 40,
    fresh: 5,
    of: [userPlans, fc.nat(), victims],
    happens: (plan, seed, victim) => userStorm(seed, plan, victim),
  }))
