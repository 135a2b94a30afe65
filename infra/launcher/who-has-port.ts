/** Who listens on a port that we wanted. */
import { z } from 'zod'

const ANSWER_MS = 1_500

const live = z.object({ product: z.literal('strongroom'), pid: z.number().optional(), data: z.string().optional() })

/** For people: another Strongroom and which, or another program. */
export async function whoHasPort(listen: string, port: number): Promise<string> {
  const host =
    listen === '0.0.0.0' ? '127.0.0.1' : listen === '::' ? '[::1]' : listen.includes(':') ? `[${listen}]` : listen
  try {
    const answer = await fetch(`http://${host}:${port}/_strongroom/live`, { signal: AbortSignal.timeout(ANSWER_MS) })
    const { pid, data } = live.parse(await answer.json())
    return `another Strongroom${data === undefined ? '' : ` (data directory ${data}, process ${String(pid)})`}`
  } catch {
    return 'another program'
  }
}
