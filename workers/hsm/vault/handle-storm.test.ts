/**
 * What every key is promised, whatever the network does: a handle that no other key has or ever had, on any HSM. Keys are
 * made, changed and deleted by the vault's own code on each simulated HSM, of four and of a full cluster. A failing case
 * prints its seed and its plan, which make the same world again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { inStorms } from '../../../test/support/storms.ts'
import { keyStorm, live, plansFor } from './testing/key-storm.ts'
import type { Dimensions } from './testing/simulated-vaults.ts'

const FEW: Dimensions = { count: 4, calmMs: 30_000 }
/** As many as a cluster has. Calm is shorter than among few, and longer than any back-off, call and pull together. */
const MANY: Dimensions = { count: 28, calmMs: 5_000 }

test('no two keys ever have one handle, and HSMs agree on every key, its sharing, its attributes and the users', (t) =>
  inStorms(t, {
    seed: 20_261_126,
    storms: 15,
    fresh: 2,
    of: [plansFor(FEW.count), fc.nat()],
    happens: (plan, seed) => keyStorm(FEW, seed, plan),
  }))

test('a full cluster of 28 HSMs agrees on every key, too, after zones were cut off and HSMs killed', (t) =>
  inStorms(t, {
    seed: 20_261_134,
    storms: 1,
    fresh: 1,
    of: [plansFor(MANY.count, { minLength: 160, maxLength: 180 }), fc.nat()],
    happens: (plan, seed) => keyStorm(MANY, seed, plan),
  }))

test('the same seed and plan make the same world, commit by commit', async () => {
  for (const [seed, plan] of fc.sample(fc.tuple(fc.nat(), plansFor(FEW.count)), { seed: 7, numRuns: 2 })) {
    const [one, again] = [await live(FEW, seed, plan), await live(FEW, seed, plan)]
    assert.ok(one.trace.length > 100)
    assert.deepEqual(again.trace, one.trace)
    const other = await live(FEW, seed + 1, plan)
    assert.notDeepEqual(other.trace, one.trace)
    for (const vaults of [one, again, other]) vaults.end()
  }
})
