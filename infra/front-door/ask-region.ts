/** A question of the front door's own to a region's process. */
import { get } from 'node:http'
import type { Target } from './forward.ts'

export interface Patience {
  /** How long it may take. */
  readonly ms: number
  /** How long the answer may be. */
  readonly bytes: number
}

/** Status and text of what stands at a path; undefined when no such answer comes in time. */
export function askRegion(
  { port, agent }: Target,
  path: string,
  { ms, bytes }: Patience,
): Promise<{ readonly status: number; readonly text: string } | undefined> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, agent, path, timeout: ms })
    const fail = () => {
      request.destroy()
      resolve(undefined)
    }
    request.on('error', fail).on('timeout', fail)
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('error', fail)
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > bytes) fail()
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
  })
}
