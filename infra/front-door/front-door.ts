/**
 * The one address that users know: hands each request to the API of the region it is signed for. Decides nothing; the
 * region authenticates. Our own paths, below `/_strongroom/`, are answered here.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import { jsonError, write, type Answer } from '../../api/aws-json/reply.ts'
import { mayReadMetrics, METRICS_TYPE } from '../../api/operator/metrics-access.ts'
import { queryError } from '../../api/sts/query.ts'
import { ServiceError } from '../../provider-schema/errors.ts'
import { forward, type Target } from './forward.ts'
import { metricsOf } from './metrics.ts'
import { readinessOf } from './readiness.ts'
import { scopeOf } from './region-of.ts'

export interface FrontDoorOptions {
  readonly listen: string
  /** 0: any free one. */
  readonly port: number
  /** In order: the first takes what is not signed. */
  readonly regions: readonly string[]
  /** What `/_strongroom/live` says of this installation to a caller on this machine. */
  readonly about: Readonly<Record<string, unknown>>
  /** PEM bundles for download, by name; known once the fleet is there. */
  readonly anchors: () => Readonly<Record<string, string>>
  /** Who may read the metrics. */
  readonly metrics?: 'loopback' | 'anyone' | 'off'
  readonly log: Logger
}

export interface FrontDoor {
  readonly port: number
  /** Where a region's API listens from now on; undefined when it is away. */
  setRegion(region: string, port: number | undefined): void
  ready(): ReturnType<typeof readinessOf>
  /** Lets requests under way end, for a moment, and closes. */
  close(): Promise<void>
}

const CLOSE_MS = 2_000
/**
 * However it is spelt, and in a request line with scheme and host too: a region has such paths for this machine alone, and
 * takes them in any case.
 */
const OURS = /\/_strongroom(\/|$)/i
const PKI = /^\/_strongroom\/pki\/([a-z-]{1,64})(?:\.pem)?$/

/** Listens. Rejects with what the system says (EADDRINUSE, EACCES) when it cannot. */
export async function openFrontDoor(options: FrontDoorOptions): Promise<FrontDoor> {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo' })
  const targets = new Map<string, Target | undefined>(options.regions.map((region) => [region, undefined]))
  const server = createServer((request, response) => {
    response.on('error', () => undefined)
    void serve(request, response, options, targets)
  })
  server.headersTimeout = 15_000
  server.requestTimeout = 60_000
  server.keepAliveTimeout = 30_000
  server.maxConnections = 4_096
  server.listen(options.port, options.listen)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    setRegion: (region, port) => targets.set(region, port === undefined ? undefined : { port, agent }),
    ready: () => readinessOf(targets),
    close: () => close(server).finally(() => agent.destroy()),
  }
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: FrontDoorOptions,
  targets: ReadonlyMap<string, Target | undefined>,
): Promise<void> {
  const path = request.url?.split('?', 1)[0] ?? ''
  if (OURS.test(path)) {
    await ownPath(path, request, response, options, targets)
    return
  }
  const scope = scopeOf(request.headers)
  const region = scope?.region ?? options.regions[0] ?? ''
  const isSts = scope?.service === 'sts'
  if (!targets.has(region)) {
    refuse(response, notHere(region, options.regions), isSts)
    return
  }
  const target = targets.get(region)
  try {
    if (!target) throw new Error('the region is not running')
    await forward(request, response, target)
  } catch (error) {
    options.log.warn({ region, err: error }, 'a region did not answer')
    refuse(
      response,
      new ServiceError('ServiceUnavailableException', `${region} does not answer. Please try again.`),
      isSts,
    )
  }
}

/** The words AWS has for a signature of another region; and, for whoever looks for it, what there is. */
function notHere(region: string, regions: readonly string[]): ServiceError {
  return new ServiceError(
    'InvalidSignatureException',
    `Credential should be scoped to a valid region, not '${region}'. This Strongroom has: ${regions.join(', ')}. ` +
      'Start it with --regions to have others.',
  )
}

/** Closes the connection too: the body was not read. */
function refuse(response: ServerResponse, error: ServiceError, isSts: boolean): void {
  if (response.headersSent || response.destroyed) return
  const requestId = randomUUID()
  const answer: Answer = isSts ? queryError(error, requestId) : jsonError(error)
  write(response, requestId, answer, !response.req.complete)
  response.end()
}

async function ownPath(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  options: FrontDoorOptions,
  targets: ReadonlyMap<string, Target | undefined>,
): Promise<void> {
  const json = (status: number, body: object) => send(response, status, 'application/json', JSON.stringify(body))
  const anchor = options.anchors()[PKI.exec(path)?.[1] ?? '']
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    json(405, { message: 'Only GET is answered here.' })
  } else if (path === '/_strongroom/live') {
    const isNear = request.socket.remoteAddress === request.socket.localAddress
    json(200, { live: true, product: 'strongroom', ...(isNear && options.about) })
  } else if (path === '/_strongroom/ready') {
    const readiness = await readinessOf(targets)
    json(readiness.ready ? 200 : 503, readiness)
  } else if (path === '/_strongroom/metrics') {
    if (mayReadMetrics(request, options.metrics)) send(response, 200, METRICS_TYPE, await metricsOf(targets))
    else json(403, { message: 'Metrics are for callers on the same machine; see "metrics" in the configuration.' })
  } else if (anchor !== undefined) {
    send(response, 200, 'application/x-pem-file', anchor)
  } else json(404, { message: 'There is nothing at this path.' })
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.destroyed) return
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS)
  await closed
  clearTimeout(timer)
}
