/** An API process to measure: told its database by IPC, tells its port, and its CPU time when asked. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { createApi } from '../../api/app.ts'
import { configuredKey } from '../../api/identity/configured.ts'
import { identities } from '../../api/identity/identities.ts'
import { identityKey } from '../../api/identity/identity-key.ts'
import { Secret } from '../../api/identity/secret.ts'
import { openDatabase } from '../../state/database.ts'
import { BENCH_ACCOUNT } from './stored-clusters.ts'

function serve(databaseUrl: string): void {
  const database = openDatabase({ url: databaseUrl })
  // The log is written as in production, to nowhere.
  const log = pino(pino.destination('/dev/null'))
  const api = createApi({
    region: 'us-east-1',
    database,
    identity: identities({
      configured: new Map([['test', configuredKey(BENCH_ACCOUNT, 'test', 'test')]]),
      database,
      identityKey: identityKey(Buffer.alloc(32)),
      log,
    }),
    addresses: { choose: () => Promise.reject(new Error('nothing is created here')) },
    zones: ['us-east-1a'],
    configuredSubnets: new Map(),
    unknownSubnets: 'assign',
    offeredHsmTypes: ['hsm2m.medium'],
    knownRegions: [],
    pageTokenKey: Buffer.alloc(32, 1),
    limits: { clustersPerAccount: 4, hsmsPerAccount: 6, hsmsPerCluster: 28 },
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
