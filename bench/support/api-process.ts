/** An API process to measure: told its database by IPC, tells its port, and its CPU time when asked. */
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApi } from '../../api/app.ts'
import { configuredKey } from '../../api/identity/configured.ts'
import { identities } from '../../api/identity/identities.ts'
import { identityKey } from '../../api/identity/identity-key.ts'
import { Secret } from '../../api/identity/secret.ts'
import { openRecorder } from '../../api/trail/recorder.ts'
import { createLog } from '../../infra/log/log.ts'
import type { AccountId } from '../../provider-schema/ids.ts'
import { openDatabase } from '../../state/database.ts'
import { BENCH_ACCOUNT } from './stored-clusters.ts'

/** `test` of the account that has the stored clusters; `test-0` and so on of accounts that have none. */
const MOST_KEYS = 5_000
const KEYS = new Map([
  ['test', configuredKey(BENCH_ACCOUNT, 'test', 'test')],
  ...Array.from({ length: MOST_KEYS }, (_, number) => {
    const account = String(number).padStart(12, '1') as AccountId
    return [`test-${number}`, configuredKey(account, 'test', 'test')] as const
  }),
])

/** As in production: every read is recorded, every request logged. */
function serve(databaseUrl: string): void {
  const database = openDatabase({ url: databaseUrl, connections: 20 })
  const file = join(mkdtempSync(join(tmpdir(), 'strongroom-bench-')), 'log')
  const log = createLog({ name: 'bench', file, terminal: false })
  const api = createApi({
    region: 'us-east-1',
    database,
    trail: openRecorder({ region: 'us-east-1', database, log, reads: true }),
    identity: identities({ configured: KEYS, database, identityKey: identityKey(Buffer.alloc(32)), log }),
    addresses: { choose: () => Promise.reject(new Error('nothing is created here')) },
    zones: ['us-east-1a'],
    configuredSubnets: new Map(),
    unknownSubnets: 'assign',
    offeredHsmTypes: ['hsm2m.medium'],
    knownRegions: [],
    pageTokenKey: Buffer.alloc(32, 1),
    limits: { clustersPerAccount: 1_000_000, hsmsPerAccount: 6, hsmsPerCluster: 28 },
    clock: () => new Date(),
    realClock: () => new Date(),
    operator: { key: new Secret('none') },
    log,
    ready: () => Promise.resolve({ ready: true, checks: {} }),
  })
  const server = createServer(api).listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    process.send?.({ port })
  })
}

process.on('message', (message: { databaseUrl: string } | 'cpu') => {
  if (message !== 'cpu') return serve(message.databaseUrl)
  const { user, system } = process.cpuUsage()
  process.send?.({ cpu: (user + system) / 1_000 })
})
