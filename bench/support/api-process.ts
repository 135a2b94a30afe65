/** An API process to measure: told its database by IPC, tells its port, and its CPU time when asked. */
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApi } from '../../api/app.ts'
import { Secret } from '../../api/identity/secret.ts'
import { openRecorder } from '../../api/trail/recorder.ts'
import { createLog } from '../../infra/log/log.ts'
import type { AccessKey } from '../../api/ports.ts'
import type { AccountId } from '../../provider-schema/ids.ts'
import { openDatabase } from '../../state/database.ts'
import { BENCH_ACCOUNT } from './stored-clusters.ts'

const KEY: AccessKey = {
  accountId: BENCH_ACCOUNT,
  principalArn: 'arn:aws:iam::000000000000:user/test',
  secret: new Secret('test'),
}

/** As many access keys as are asked for: `test` of the account that has the stored clusters, `test-1` and so on of others. */
const keys = new Map<string, AccessKey>([['test', KEY]])
function keyOf(id: string): AccessKey | undefined {
  const [, number] = /^test-(\d{1,6})$/.exec(id) ?? []
  if (number !== undefined && !keys.has(id)) {
    const accountId = number.padStart(12, '1') as AccountId
    keys.set(id, { ...KEY, accountId, principalArn: `arn:aws:iam::${accountId}:user/test` })
  }
  return keys.get(id)
}

/** As in production: every read is recorded, every request logged. */
function serve(databaseUrl: string): void {
  const database = openDatabase({ url: databaseUrl, connections: 20 })
  const file = join(mkdtempSync(join(tmpdir(), 'strongroom-bench-')), 'log')
  const log = createLog({ name: 'bench', file, terminal: false })
  const api = createApi({
    region: 'us-east-1',
    database,
    trail: openRecorder({ region: 'us-east-1', database, log, reads: true }),
    identity: { find: (id) => Promise.resolve(keyOf(id)) },
    addresses: { choose: () => Promise.reject(new Error('nothing is created here')) },
    zones: ['us-east-1a'],
    configuredSubnets: new Map(),
    unknownSubnets: 'assign',
    offeredHsmTypes: ['hsm2m.medium'],
    knownRegions: [],
    pageTokenKey: Buffer.alloc(32, 1),
    limits: { clustersPerAccount: 1_000_000, hsmsPerAccount: 6, hsmsPerCluster: 28 },
    clock: () => new Date(),
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
