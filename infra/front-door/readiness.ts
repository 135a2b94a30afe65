/** Asks every region whether it can serve. */
import { z } from 'zod'
import { askRegion } from './ask-region.ts'
import type { Target } from './forward.ts'

const ANSWER_MS = 3_000
const MAX_BYTES = 64 * 1024

const answer = z.object({ ready: z.boolean(), checks: z.record(z.string(), z.string()) })
export type RegionReadiness = z.infer<typeof answer>

/** All must be ready. A region without a target is being started. */
export async function readinessOf(
  regions: ReadonlyMap<string, Target | undefined>,
): Promise<{ ready: boolean; regions: Record<string, RegionReadiness> }> {
  const asked = await Promise.all(
    [...regions].map(async ([name, target]) => [name, target ? await ask(target) : away('is starting')] as const),
  )
  return { ready: asked.every(([, each]) => each.ready), regions: Object.fromEntries(asked) }
}

const away = (why: string): RegionReadiness => ({ ready: false, checks: { process: why } })

async function ask(target: Target): Promise<RegionReadiness> {
  const answer = await askRegion(target, '/_strongroom/ready', { ms: ANSWER_MS, bytes: MAX_BYTES })
  return answer ? read(answer.text) : away('does not answer')
}

function read(text: string): RegionReadiness {
  try {
    return answer.parse(JSON.parse(text))
  } catch {
    return away('gives an answer that cannot be read')
  }
}
