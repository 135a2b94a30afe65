import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backups } from './backups.ts'
import { frames } from './frames.ts'
import { fuzz } from './fuzz.ts'
import type { FuzzTarget } from './target.ts'

/** For each of both targets; hours by hand: `npm run fuzz`. */
const SECONDS = 10
/** The same every time: a run that fails fails again. What new seeds find is kept. */
const SEED = 20_261_124

async function findNothing(target: FuzzTarget): Promise<void> {
  const tried = await fuzz(target, { seconds: SECONDS, seed: SEED })
  assert.ok(tried > 100, `only ${tried} inputs in ${SECONDS} s`)
}

test('whatever is sent to a port is a request or closes the connection', () => findNothing(frames))

test('whatever lies in a backup file restores whole or is refused', async (t) => {
  const target = await backups()
  t.after(() => target.close?.())
  await findNothing(target)
})
