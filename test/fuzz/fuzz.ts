/** The loop: inputs made from seeds until the time is over, and what was found kept as a seed for ever. */
import { createHash } from 'node:crypto'
import { globSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chanceOf } from '../support/chance.ts'
import { mutated } from './mutate.ts'
import type { FuzzTarget } from './target.ts'

const FOUND = fileURLToPath(new URL('./seeds', import.meta.url))

export interface FuzzRun {
  readonly seconds: number
  readonly seed: number
}

/**
 * Runs kept inputs first, then new ones. Gives how many there were. Throws at the first input for which something does not
 * hold, after it was kept under `seeds/`, with its path.
 */
export async function fuzz(target: FuzzTarget, { seconds, seed }: FuzzRun): Promise<number> {
  const folder = join(FOUND, target.name)
  const kept = await Promise.all(globSync(join(folder, '*.bin')).map((path) => readFile(path)))
  const inputs = [...(await target.seeds()), ...kept]
  const chance = chanceOf(seed)
  const end = performance.now() + seconds * 1000
  let tried = 0
  for (; tried < inputs.length || performance.now() < end; tried += 1) {
    const input = inputs[tried] ?? mutated(inputs.slice(0, 256), chance)
    try {
      await target.run(input)
    } catch (cause) {
      const name = `${createHash('sha256').update(input).digest('hex').slice(0, 16)}.bin`
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, name), input)
      throw new Error(`${target.name}, seed ${seed}, input ${tried}: kept as ${join(folder, name)}`, { cause })
    }
  }
  return tried
}
