/** A region's voice to other regions: RegionPort over mutual TLS. */
import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { Hopeless } from '../../workers/jobs/transition.ts'
import type { RegionPort } from '../../workers/jobs/ports.ts'
import type { AccountPeers } from '../identity/level.ts'
import type { ControlIdentity } from '../pki/control.ts'
import type { Fleet } from '../pki/fleet.ts'
import { controlUri } from '../../provider-schema/party-names.ts'
import { peerUri, regionControlName } from '../pki/names.ts'
import { copyProgress, MAX_ACCOUNTS, MAX_JSON_BYTES, offeredAccounts } from './wire.ts'

export interface RegionClientOptions {
  /** The region that speaks. */
  readonly region: string
  /** Regions and where they listen; asked anew for each call, since they may move. */
  readonly peers: () => ReadonlyMap<string, { readonly host: string; readonly port: number }>
  readonly identity: ControlIdentity
  readonly fleet: Pick<Fleet, 'controlCa'>
}

const IDLE_MS = 30_000

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: unknown
  readonly content?: AsyncIterable<Uint8Array>
  /** Characters of the longest answer. */
  readonly mostCharacters?: number
}

/** The other regions. `close` drops the connections that are kept. */
export function regionClient(options: RegionClientOptions): RegionPort & AccountPeers & { close(): void } {
  const { identity, fleet } = options
  const agent = new Agent({
    key: identity.keyPem,
    cert: identity.chain,
    ca: fleet.controlCa,
    allowPartialTrustChain: true,
    minVersion: 'TLSv1.3',
    keepAlive: false,
    // A resumed session shows no certificate, and who answers must show one each time.
    maxCachedSessions: 0,
    // A region is known by its certificate's URI, which is looked at once the handshake is done.
    checkServerIdentity: () => undefined,
  })
  const call = (region: string, what: Call) => callRegion(options, agent, region, what)
  return {
    get known() {
      return [...options.peers().keys()]
    },
    announceCopy: async (region, copy) =>
      copyProgress.parse(
        await call(region, { method: 'POST', path: '/copies', body: { ...copy, sourceRegion: options.region } }),
      ),
    sendCopy: async (region, copyId, offset, content) => {
      await call(region, { method: 'PUT', path: `/copies/${copyId}?offset=${offset}`, content })
    },
    finishCopy: async (region, copyId) => {
      await call(region, { method: 'POST', path: `/copies/${copyId}/finish`, body: {} })
    },
    abandonCopy: async (region, copyId, reason) => {
      await call(region, { method: 'POST', path: `/copies/${copyId}/abandon`, body: { reason } })
    },
    newerAccounts: async (region, { revision, stamp }) => {
      const path = `/accounts?${new URLSearchParams({ revision: String(revision), stamp }).toString()}`
      const answer = await call(region, { method: 'GET', path, mostCharacters: MAX_ACCOUNTS })
      return answer === undefined ? undefined : offeredAccounts.parse(answer)
    },
    close: () => agent.destroy(),
  }
}

function callRegion(options: RegionClientOptions, agent: Agent, region: string, what: Call): Promise<unknown> {
  const peer = options.peers().get(region)
  if (!peer) return Promise.reject(new Error(`${region} is not known here`))
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(new Error(`${region} could not be asked: ${cause instanceof Error ? cause.message : ''}`, { cause }))
    const request = httpsRequest({ ...peer, agent, method: what.method, path: what.path, timeout: IDLE_MS })
    request.once('error', fail)
    request.once('timeout', () => request.destroy(new Error(`${region} does not answer`)))
    request.once('socket', (socket) => {
      socket.once('secureConnect', () => {
        const expected = controlUri(regionControlName(region))
        if (!(socket instanceof TLSSocket) || peerUri(socket) !== expected) {
          request.destroy(new Error(`who answers is not ${region}`))
        }
      })
    })
    request.once('response', (response) => {
      readAnswer(response, region, what.mostCharacters ?? MAX_JSON_BYTES).then(resolve, (error: unknown) =>
        reject(error instanceof Error ? error : new Error(String(error))),
      )
    })
    if (what.content === undefined) request.end(what.body === undefined ? undefined : JSON.stringify(what.body))
    else pipeline(Readable.from(what.content), request).catch(fail)
  })
}

async function readAnswer(response: IncomingMessage, region: string, mostCharacters: number): Promise<unknown> {
  let text = ''
  response.setEncoding('utf8')
  for await (const piece of response) {
    text += String(piece)
    if (text.length > mostCharacters) throw new Error(`${region} answers too much`)
  }
  const status = response.statusCode ?? 0
  if (status >= 200 && status < 300) return text === '' ? undefined : JSON.parse(text)
  const message = `${region} refused: ${errorIn(text) ?? `status ${status}`}`
  // 400: the same request will never succeed.
  throw status === 400 ? new Hopeless(message) : new Error(message)
}

function errorIn(text: string): string | undefined {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null && 'error' in body ? String(body.error) : undefined
  } catch {
    return undefined
  }
}
