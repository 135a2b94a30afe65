/** A region's ear for other regions. */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import type { CopyId } from '../../provider-schema/ids.ts'
import type { StoredDirectory } from '../../state/identity.ts'
import { isNewer } from '../identity/level.ts'
import type { ControlIdentity } from '../pki/control.ts'
import type { Fleet } from '../pki/fleet.ts'
import { peerUri } from '../pki/names.ts'
import { RefusedCopy, type CopyReceiver } from './receive-copies.ts'
import { COPY_ID, copyAnnouncement, heldAccounts, MAX_JSON_BYTES } from './wire.ts'

export interface RegionServer {
  readonly port: number
  close(): Promise<void>
}

export interface RegionServerOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly identity: ControlIdentity
  readonly fleet: Pick<Fleet, 'root' | 'controlCa'>
  readonly receiver: CopyReceiver
  /** All accounts as this region knows them. */
  readonly accounts: () => Promise<StoredDirectory>
  readonly log: Logger
}

const REGION_URI = /^urn:strongroom:control:region:([a-z0-9-]{1,32})$/
/** A transfer that stands still for this long is broken off; it goes on where it was. */
const IDLE_MS = 30_000

/** Listens for other regions of the fleet. */
export async function serveRegions(options: RegionServerOptions): Promise<RegionServer> {
  const { identity, fleet, log } = options
  const server = createServer(
    {
      key: identity.keyPem,
      cert: identity.chain,
      // The server side of node:tls ignores `allowPartialTrustChain` (26.10): a chain must reach the root, and
      // `callerOf` sees to it that the control CA issued its first certificate.
      ca: fleet.root,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    },
    (request, response) => {
      answer(request, response, options).catch((error: unknown) => {
        fail(error, response, log)
        request.resume()
      })
    },
  )
  server.headersTimeout = 10_000
  server.requestTimeout = 0
  server.setTimeout(IDLE_MS)
  server.maxConnections = 64
  server.on('tlsClientError', (error) => log.warn({ reason: error.message }, 'somebody who is no region knocked'))
  server.listen(options.port, options.host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, options: RegionServerOptions) {
  const { receiver, fleet } = options
  const sourceRegion = callerOf(request, fleet)
  const url = new URL(request.url ?? '/', 'https://region')
  const [, collection, copyId = '', action = '', ...more] = url.pathname.split('/')
  if (request.method === 'GET' && url.pathname === '/accounts') {
    const held = heldAccounts.safeParse(Object.fromEntries(url.searchParams))
    if (!held.success) throw new RefusedCopy(400, 'not a version of accounts')
    const accounts = await options.accounts()
    if (isNewer(accounts, held.data)) reply(response, 200, accounts)
    else reply(response, 204)
    return
  }
  if (collection !== 'copies' || more.length > 0) throw new RefusedCopy(404, 'no such path')
  if (request.method === 'POST' && copyId === '') {
    const copy = copyAnnouncement.safeParse(await json(request))
    if (!copy.success) throw new RefusedCopy(400, 'not an announcement of a copy', { cause: copy.error })
    if (copy.data.sourceRegion !== sourceRegion) throw new RefusedCopy(400, `the caller is ${sourceRegion}`)
    reply(response, 200, await receiver.announce(copy.data))
    return
  }
  if (!COPY_ID.test(copyId)) throw new RefusedCopy(404, 'no such copy')
  const id = copyId as CopyId
  if (request.method === 'PUT' && action === '') {
    const offset = Number(/^\d{1,15}$/.exec(url.searchParams.get('offset') ?? '')?.[0])
    if (Number.isNaN(offset)) throw new RefusedCopy(400, 'not an offset')
    await receiver.receive(sourceRegion, id, offset, request)
  } else if (request.method === 'POST' && action === 'finish') {
    await receiver.finish(sourceRegion, id)
  } else if (request.method === 'POST' && action === 'abandon') {
    const body = await json(request)
    const reason = typeof body === 'object' && body !== null && 'reason' in body ? String(body.reason) : ''
    await receiver.abandon(sourceRegion, id, reason.slice(0, 300))
  } else {
    throw new RefusedCopy(404, 'no such path')
  }
  reply(response, 204)
}

/** The region that the client certificate names, if the control CA issued it. */
function callerOf({ socket }: IncomingMessage, { controlCa }: Pick<Fleet, 'controlCa'>): string {
  const uri = socket instanceof TLSSocket && isIssuedBy(socket, controlCa) ? peerUri(socket) : undefined
  const region = REGION_URI.exec(uri ?? '')?.[1]
  if (region === undefined) throw new RefusedCopy(400, 'the caller is no region')
  return region
}

function isIssuedBy(socket: TLSSocket, authority: string): boolean {
  const issuer = new X509Certificate(authority)
  const peer = socket.getPeerX509Certificate()
  return peer !== undefined && peer.checkIssued(issuer) && peer.verify(issuer.publicKey)
}

async function json(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of request) {
    const bytes = piece as Buffer
    size += bytes.length
    if (size > MAX_JSON_BYTES) throw new RefusedCopy(400, 'the body is too long')
    pieces.push(bytes)
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString())
  } catch (cause) {
    throw new RefusedCopy(400, 'the body is not JSON', { cause })
  }
}

function fail(error: unknown, response: ServerResponse, log: Logger): void {
  const status = error instanceof RefusedCopy ? error.status : 500
  log.warn({ err: error, status }, 'a request of another region failed')
  if (response.headersSent) return void response.destroy()
  // What is left of a body is not read: the connection is of no further use.
  response.setHeader('connection', 'close')
  reply(response, status, { error: error instanceof Error ? error.message : 'failed' })
}

function reply(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, body === undefined ? {} : { 'content-type': 'application/json' })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}
