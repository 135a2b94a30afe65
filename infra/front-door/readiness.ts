/** Asks every region whether it can serve. */
import { get } from 'node:http'
import { z } from 'zod'
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

function ask({ port, agent }: Target): Promise<RegionReadiness> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, agent, path: '/_strongroom/ready', timeout: ANSWER_MS })
    const fail = () => {
      request.destroy()
      resolve(away('does not answer'))
    }
    request.on('error', fail).on('timeout', fail)
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('error', fail)
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > MAX_BYTES) fail()
      })
      response.on('end', () => resolve(read(text)))
    })
  })
}

function read(text: string): RegionReadiness {
  try {
    return answer.parse(JSON.parse(text))
  } catch {
    return away('gives an answer that cannot be read')
  }
}
