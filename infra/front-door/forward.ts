/** Hands one request on to a region's API, and its answer back, both as streams. */
import { request as httpRequest, type Agent, type IncomingMessage, type ServerResponse } from 'node:http'

export interface Target {
  readonly port: number
  readonly agent: Agent
}

/** An operation answers at once; a region that takes this long is in trouble. */
const SILENCE_MS = 60_000

/** Of one connection, not of the request (RFC 9110 §7.6.1); and what nobody but we may say. */
const NOT_HANDED_ON = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'x-forwarded-for',
])

/**
 * Rejects when the region did not answer; nothing has been written then. Once an answer has begun, a failure closes the
 * connection.
 */
export function forward(request: IncomingMessage, response: ServerResponse, target: Target): Promise<void> {
  return new Promise((resolve, reject) => {
    const onward = httpRequest({
      host: '127.0.0.1',
      port: target.port,
      agent: target.agent,
      method: request.method,
      path: request.url,
      timeout: SILENCE_MS,
      headers: [...handedOn(request.rawHeaders), 'X-Forwarded-For', request.socket.remoteAddress ?? ''],
    })
    let isAnswered = false
    const giveUp = (error: Error) => {
      request.unpipe(onward)
      onward.destroy()
      const isGone = response.destroyed
      if (response.headersSent) response.destroy()
      if (isGone || response.headersSent) resolve()
      else reject(error)
    }
    onward.on('timeout', () => onward.destroy(new Error('the region did not answer in time')))
    // The region may close before it has read all of a body that it refuses: its answer counts, not the broken pipe.
    onward.on('error', (error) => {
      if (!isAnswered) giveUp(error)
    })
    onward.on('response', (answer) => {
      isAnswered = true
      const last = request.complete ? [] : ['Connection', 'close']
      response.writeHead(answer.statusCode ?? 502, [...handedOn(answer.rawHeaders), ...last])
      answer.on('error', giveUp)
      answer.on('end', () => resolve())
      answer.pipe(response)
    })
    response.on('close', () => {
      if (!response.writableFinished) onward.destroy()
      resolve()
    })
    request.pipe(onward)
  })
}

/** Names and values alternate, as they came: a signature may cover any of them. */
function handedOn(raw: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]]
    if (!NOT_HANDED_ON.has(name.toLowerCase())) kept.push(name, value)
  }
  return kept
}
