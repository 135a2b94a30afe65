/** The loop: what was kept, then inputs made from seeds until the time is over. What is found is kept for ever. */
import { createHash } from 'node:crypto'
import { globSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chanceOf } from '../support/chance.ts'
import { mutated } from './mutate.ts'
import type { FuzzTarget } from './target.ts'

/** Of each target a folder of inputs, each a file of any name. */
const KEPT = fileURLToPath(new URL('./seeds', import.meta.url))

export interface FuzzRun {
  readonly seconds: number
  /** The same seed tries the same inputs in the same order. */
  readonly seed: number
  /** Ends the run before its time. */
  readonly signal?: AbortSignal
  /** Where inputs are kept; by default beside this file. */
  readonly kept?: string
}

/** An input for which something does not hold. The cause says what. */
export class Found extends Error {}

/** Runs every input that was ever kept for a target. Gives them. Throws Found at the first that fails, with its path. */
export async function replay(target: FuzzTarget, kept = KEPT): Promise<Buffer[]> {
  const inputs: Buffer[] = []
  for (const path of globSync(join(kept, target.name, '*.bin')).toSorted()) {
    const input = await readFile(path)
    try {
      await target.run(input)
    } catch (cause) {
      throw new Found(`${target.name}: the kept input ${shown(path)} fails`, { cause })
    }
    inputs.push(input)
  }
  return inputs
}

/**
 * Replays what was kept, then tries new inputs. Gives how many there were in all. Throws Found at the first input for
 * which something does not hold, after it was kept, with its path.
 */
export async function fuzz(target: FuzzTarget, { seconds, seed, signal, kept = KEPT }: FuzzRun): Promise<number> {
  const replayed = await replay(target, kept)
  const seeds = await target.seeds()
  const inputs = [...seeds, ...replayed].slice(0, 256)
  const chance = chanceOf(seed)
  const end = performance.now() + seconds * 1000
  let tried = 0
  for (; tried < seeds.length || (performance.now() < end && signal?.aborted !== true); tried += 1) {
    const input = seeds[tried] ?? mutated(inputs, chance)
    try {
      await target.run(input)
    } catch (cause) {
      const path = await keep(input, join(kept, target.name))
      throw new Found(`${target.name}: input ${tried} of seed ${seed} fails, and is kept as ${shown(path)}`, { cause })
    }
  }
  return replayed.length + tried
}

async function keep(input: Buffer, folder: string): Promise<string> {
  const path = join(folder, `${createHash('sha256').update(input).digest('hex').slice(0, 16)}.bin`)
  await mkdir(folder, { recursive: true })
  await writeFile(path, input)
  return path
}

const shown = (path: string) => relative(process.cwd(), path)
