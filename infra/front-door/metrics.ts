/** The metrics of all regions as one text: each family once, with the samples of every region. */
import { askRegion } from './ask-region.ts'
import type { Target } from './forward.ts'

const ANSWER_MS = 5_000
const MAX_BYTES = 16 * 1024 * 1024

interface Family {
  /** Its HELP and TYPE. */
  readonly head: string[]
  readonly samples: string[]
}

/** Every sample says its region itself. A region that does not answer has `strongroom_region_up 0` and nothing else. */
export async function metricsOf(regions: ReadonlyMap<string, Target | undefined>): Promise<string> {
  const asked = await Promise.all([...regions].map(async ([name, target]) => [name, await ask(target)] as const))
  const families = new Map<string, Family>()
  for (const [, text] of asked) merge(families, text ?? '')
  const up = asked.map(([region, text]) => `strongroom_region_up{region="${region}"} ${text === undefined ? 0 : 1}`)
  const head = [
    '# HELP strongroom_region_up Whether the API of the region answers.',
    '# TYPE strongroom_region_up gauge',
  ]
  const lines = [...families.values()].flatMap(({ head: own, samples }) => [...own, ...samples, ''])
  return [...lines, ...head, ...up, ''].join('\n')
}

/** In the text format a family is its HELP and TYPE lines and the samples after them, together (Prometheus, exposition). */
function merge(families: Map<string, Family>, text: string): void {
  let family: Family | undefined
  for (const line of text.split('\n')) {
    const [, name] = /^# (?:HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)/.exec(line) ?? []
    if (name !== undefined) {
      family = families.get(name) ?? { head: [], samples: [] }
      families.set(name, family)
      if (!family.head.includes(line)) family.head.push(line)
    } else if (line !== '') family?.samples.push(line)
  }
}

async function ask(target: Target | undefined): Promise<string | undefined> {
  const answer = target && (await askRegion(target, '/_strongroom/metrics', { ms: ANSWER_MS, bytes: MAX_BYTES }))
  return answer?.status === 200 ? answer.text : undefined
}
