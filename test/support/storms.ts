/** Property tests whose cases are storms: fixed ones, and fresh ones of a seed that is printed. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import type { TestContext } from 'node:test'
import fc from 'fast-check'

export interface Storms<Values extends unknown[]> {
  /** Of the fixed ones. */
  readonly seed: number
  readonly storms: number
  /** How many of a new seed follow. */
  readonly fresh: number
  /** What differs from storm to storm. */
  readonly of: { readonly [Nth in keyof Values]: fc.Arbitrary<Values[Nth]> }
  /** One storm; throws when a promise is broken. Gives how often what was done. */
  readonly happens: (...values: Values) => Promise<Readonly<Record<string, number>>>
}

/**
 * Runs them. `STRONGROOM_STORM_SEED` and `STRONGROOM_STORMS` ask for others instead. A storm that fails prints seed and
 * case. Throws as well when in all the fixed ones something never happened: then they said nothing about it.
 */
export async function inStorms<Values extends [unknown, ...unknown[]]>(
  t: TestContext,
  { seed, storms, fresh, of, happens }: Storms<Values>,
): Promise<void> {
  const seen = new Map<string, number>()
  const property = fc.asyncProperty(...of, async (...values: Values) => {
    for (const [what, count] of Object.entries(await happens(...values))) seen.set(what, (seen.get(what) ?? 0) + count)
  })
  const { STRONGROOM_STORM_SEED: asked, STRONGROOM_STORMS: many } = process.env
  await fc.assert(property, { seed: Number(asked ?? seed), numRuns: Number(many ?? storms) })
  for (const [what, count] of seen) assert.ok(count > 0 || asked !== undefined, `no storm had anything ${what}`)
  t.diagnostic([...seen].map(([what, count]) => `${what} ${count}`).join(', '))
  if (asked !== undefined || many !== undefined) return
  const other = randomInt(2 ** 31)
  t.diagnostic(`STRONGROOM_STORM_SEED=${other}`)
  await fc.assert(property, { seed: other, numRuns: fresh })
}
