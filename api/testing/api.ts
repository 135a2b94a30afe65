/** An API over a real database for tests, with what the rest of the world would be kept simple. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import type { AccountId } from '../../provider-schema/ids.ts'
import { openDatabase, type Database } from '../../state/database.ts'
import { freshDatabase } from '../../test/support/database.ts'
import { createApi } from '../app.ts'
import { configuredKey } from '../identity/configured.ts'
import { identities } from '../identity/identities.ts'
import { identityKey } from '../identity/identity-key.ts'
import { Secret } from '../identity/secret.ts'
import type { AccessKey, ApiPorts } from '../ports.ts'
import { checkAnswer } from './check-answer.ts'
import { postInProcess, type RawReply } from './in-process.ts'
import { signed, type ToSign } from './signer.ts'

export const ACCOUNT = '000000000000' as AccountId
export const OTHER_ACCOUNT = '111111111111' as AccountId
export const TEST_IDENTITY_KEY = identityKey(Buffer.alloc(32, 9))

/** Of the configuration: each may do everything in its account. */
const KEYS: ReadonlyMap<string, AccessKey> = new Map([
  ['test', configuredKey(ACCOUNT, 'test', 'test')],
  ['other', configuredKey(OTHER_ACCOUNT, 'other', 'other')],
])

export interface Reply {
  readonly status: number
  readonly headers: Headers
  /** The JSON body; empty when there was none. */
  readonly body: Record<string, unknown>
  readonly text: string
}

export interface TestApi {
  readonly database: Database
  readonly ports: ApiPorts
  readonly url: string
  /** Log lines so far, as JSON. */
  readonly log: readonly string[]
  /** A signed request for an operation. Throws when the answer is not as published, whatever it says. */
  call(operation: string, input?: unknown, as?: Partial<ToSign>): Promise<Reply>
  /** The output of an operation that must succeed. */
  ask(operation: string, input?: unknown, as?: Partial<ToSign>): Promise<Record<string, unknown>>
  /** Code and text of an operation that must be refused. */
  refusal(operation: string, input?: unknown, as?: Partial<ToSign>): Promise<{ code: unknown; message: unknown }>
  /** Number of rows in every table that an operation may write. */
  rows(): Promise<string>
  close(): Promise<void>
}

export interface TestApiOptions {
  /** Hands requests to the application without a socket: see in-process.ts. */
  readonly inProcess?: boolean
  /** For how long what is known of users, keys and policies is not looked up again. Default 0. */
  readonly freshMs?: number
}

/** Listens on a free port. Close it when done. */
export async function testApi(
  overrides: Partial<ApiPorts> = {},
  { inProcess = false, freshMs = 0 }: TestApiOptions = {},
): Promise<TestApi> {
  const fresh = await freshDatabase()
  const database = openDatabase({ url: fresh.url, connections: 5 })
  const log: string[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => void log.push(line) })
  let nextAddress = 2
  const ports: ApiPorts = {
    region: 'us-east-1',
    database,
    identity: identities({ configured: KEYS, database, identityKey: TEST_IDENTITY_KEY, log: logger, freshMs }),
    addresses: {
      choose: (_taken, requested) => {
        const listenIp = `127.77.0.${nextAddress++}`
        if (requested === undefined) return Promise.resolve({ eniIp: listenIp, listenIp })
        return Promise.resolve({ eniIp: requested, listenIp, note: `It listens on ${listenIp}.` })
      },
    },
    zones: ['us-east-1a', 'us-east-1b', 'us-east-1c'],
    configuredSubnets: new Map(),
    unknownSubnets: 'assign',
    offeredHsmTypes: ['hsm2m.medium'],
    knownRegions: ['us-east-1', 'eu-west-1'],
    pageTokenKey: Buffer.alloc(32, 7),
    limits: { clustersPerAccount: 4, hsmsPerAccount: 6, hsmsPerCluster: 28 },
    clock: () => new Date(),
    realClock: () => new Date(),
    operator: { key: new Secret('operator key') },
    log: logger,
    ready: () => Promise.resolve({ ready: true, checks: {} }),
    ...overrides,
  }
  const application = createApi(ports)
  const server = createServer(application)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const host = `127.0.0.1:${port}`

  const call: TestApi['call'] = async (operation, input = {}, as = {}) => {
    const body = as.body ?? JSON.stringify(input)
    const headers = signed({
      ...{ host, region: ports.region },
      ...as,
      body,
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `BaldrApiService.${operation}`,
        ...as.headers,
      },
    })
    const post = inProcess ? (bytes: Buffer) => postInProcess(application, headers, bytes) : overSocket
    const { status, headers: answered, text } = await post(Buffer.from(body))
    const isJson = answered.get('content-type')?.includes('json')
    const parsed: unknown = isJson ? JSON.parse(text) : {}
    checkAnswer(operation, { status, headers: answered, body: parsed })
    return { status, headers: answered, body: parsed as Record<string, unknown>, text }

    async function overSocket(bytes: Buffer): Promise<RawReply> {
      const response = await fetch(`http://${host}/`, { method: 'POST', headers, body: new Uint8Array(bytes) })
      return { status: response.status, headers: response.headers, text: await response.text() }
    }
  }

  return {
    database,
    ports,
    url: `http://${host}`,
    log,
    call,
    ask: async (operation, input, as) => {
      const reply = await call(operation, input, as)
      if (reply.status !== 200) throw new Error(`${operation} was refused: ${reply.text}`)
      return reply.body
    },
    refusal: async (operation, input, as) => {
      const { status, body, text } = await call(operation, input, as)
      if (status === 200) throw new Error(`${operation} was not refused: ${text}`)
      return { code: body['__type'], message: body['Message'] }
    },
    rows: () => countRows(database),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await Promise.all([database.close(), overrides.database?.close()])
      await fresh.drop()
    },
  }
}

const TABLES = [
  'clusters',
  'hsms',
  'backups',
  'copies',
  'subnets',
  'identity',
  'audit',
  'graphile_worker._private_jobs',
]

/** All that an operation may change, as text: equal before and after a refusal. */
async function countRows(database: Database): Promise<string> {
  const found = await Promise.all(
    TABLES.map(async (table) => {
      const { rows } = await database.pool.query<{ all: string | null }>(
        `select string_agg(md5(t::text), ',' order by t::text) as all from ${table} t`,
      )
      return `${table}: ${rows[0]?.all ?? 'none'}`
    }),
  )
  return found.join('\n')
}
