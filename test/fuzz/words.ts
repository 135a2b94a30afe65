/** What `npm run fuzz` can be told. */
import { parseArgs } from 'node:util'

const TARGETS = ['frames', 'backups'] as const
export type TargetName = (typeof TARGETS)[number]

/** A week. */
const MOST_SECONDS = 604_800
const MOST_SEED = 2 ** 32 - 1

export const HELP = `Usage: npm run fuzz -- [--target ${TARGETS.join('|')}] [--seconds N] [--seed N]

Tries what was kept, then inputs made at random, and stops at the first for which something does not hold.

  --target NAME  frames   what anybody may send to a port of an HSM
                 backups  what may lie in a backup store
                 Default: one after the other.
  --seconds N    How long each target is tried. Default: 60. Ctrl-C ends a run before its time.
  --seed N       0 to ${MOST_SEED}. The same seed tries the same inputs. Default: another one each time.

An input that fails is kept in test/fuzz/seeds/<target>/, and "npm test" tries it from then on: commit it with what mends it.
Exit status: 0 nothing found, 1 something found, 2 wrong words.
`

/** Wrong words. */
export class Usage extends Error {}

export interface Asked {
  readonly targets: readonly TargetName[]
  readonly seconds: number
  readonly seed: number
}

/** What the words after `npm run fuzz --` ask for; undefined when they ask for help. Throws Usage. */
export function askedFor(words: readonly string[]): Asked | undefined {
  const { values } = parsed(words)
  if (values.help === true) return undefined
  const { target } = values
  const targets = TARGETS.filter((name) => target === undefined || name === target)
  if (targets.length === 0) {
    throw new Usage(`There is no target "${target ?? ''}": there are ${TARGETS.join(' and ')}.`)
  }
  return {
    targets,
    seconds: number('seconds', values.seconds, MOST_SECONDS, 'a number'),
    seed:
      values.seed === undefined
        ? Math.floor(Math.random() * MOST_SEED)
        : number('seed', values.seed, MOST_SEED, 'a whole number'),
  }
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        target: { type: 'string' },
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new Usage(error instanceof Error ? error.message : String(error))
  }
}

function number(name: string, text: string, most: number, what: 'a number' | 'a whole number'): number {
  const shape = what === 'a number' ? /^\d+(\.\d+)?$/ : /^\d+$/
  if (shape.test(text) && Number(text) <= most) return Number(text)
  throw new Usage(`--${name} "${text}" is not ${what} from 0 to ${most}.`)
}
