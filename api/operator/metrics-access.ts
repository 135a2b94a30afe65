/** Who may read the metrics: they name clusters and HSMs of all accounts. */
import type { IncomingMessage } from 'node:http'

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Whoever is on this machine; but not who is spoken for by a proxy on it. */
export function isFromHere(request: IncomingMessage): boolean {
  const { remoteAddress = '' } = request.socket
  const isLoopback = /^(::ffff:)?127\./.test(remoteAddress) || remoteAddress === '::1'
  return isLoopback && request.headers['x-forwarded-for'] === undefined && request.headers.forwarded === undefined
}

export const mayReadMetrics = (request: IncomingMessage, who: 'loopback' | 'anyone' | 'off' = 'loopback') =>
  who === 'anyone' || (who === 'loopback' && isFromHere(request))
