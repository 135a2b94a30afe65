/** An API process to measure: told its database by IPC, tells its port, and its CPU time when asked. */
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApi } from '../../api/app.ts'
import { Secret } from '../../api/identity/secret.ts'
import { createLog } from '../../infra/log/log.ts'
import { openDatabase } from '../../state/database.ts'
import { BENCH_ACCOUNT } from './stored-clusters.ts'

const KEY = {
  accountId: BENCH_ACCOUNT,
  principalArn: 'arn:aws:iam::000000000000:user/test',
  secret: new Secret('test'),
}

function serve(databaseUrl: string): void {
  const api = createApi({
    region: 'us-east-1',
    database: openDatabase({ url: databaseUrl }),
    identity: { find: (id) => Promise.resolve(id === 'test' ? KEY : undefined) },
    addresses: { choose: () => Promise.reject(new Error('nothing is created here')) },
    zones: ['us-east-1a'],
    configuredSubnets: new Map(),
    unknownSubnets: 'assign',
    offeredHsmTypes: ['hsm2m.medium'],
    knownRegions: [],
    pageTokenKey: Buffer.alloc(32, 1),
    limits: { clustersPerAccount: 4, hsmsPerAccount: 6, hsmsPerCluster: 28 },
    clock: () => new Date(),
    log: createLog({
      name: 'bench',
      file: join(mkdtempSync(join(tmpdir(), 'strongroom-bench-')), 'log'),
      terminal: false,
    }),
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
