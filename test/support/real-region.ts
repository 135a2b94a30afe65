/**
 * A region of real parts inside a test: real HSM processes, certificates, backup store and mTLS between regions, around a
 * job worker that the test may replace by one that dies.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { CloudHSMV2 } from '@aws-sdk/client-cloudhsm-v2'
import { pino, type Logger } from 'pino'
import { createApi } from '../../api/app.ts'
import { configuredKey } from '../../api/identity/configured.ts'
import { identities } from '../../api/identity/identities.ts'
import { identityKey } from '../../api/identity/identity-key.ts'
import { Secret } from '../../api/identity/secret.ts'
import { addressBlock, addressPool } from '../../infra/hosts/addresses.ts'
import { startHost } from '../../infra/hosts/host.ts'
import { openBackupStore } from '../../infra/backup-store/directory-store.ts'
import { hsmPort } from '../../infra/management.ts'
import { issueControl } from '../../infra/pki/control.ts'
import { loadDeviceIssuer } from '../../infra/pki/device.ts'
import { openFleet } from '../../infra/pki/fleet.ts'
import { regionControlName } from '../../infra/pki/names.ts'
import { regionClient } from '../../infra/regions/client.ts'
import { copyReceiver } from '../../infra/regions/receive-copies.ts'
import { serveRegions } from '../../infra/regions/server.ts'
import type { AccountId } from '../../provider-schema/ids.ts'
import { LIMITS } from '../../provider-schema/limits.ts'
import { openDatabase } from '../../state/database.ts'
import type { JobContext } from '../../workers/jobs/transition.ts'
import { startJobWorker } from '../../workers/jobs/worker.ts'

export interface RegionPlace {
  readonly region: string
  /** Of the whole instance: the fleet lies in it, and a directory for each region. */
  readonly dir: string
  readonly databaseUrl: string
  /** Where other regions listen. */
  readonly peers: Readonly<Record<string, number>>
}

const zonesOf = (region: string) => ['a', 'b', 'c'].map((letter) => region + letter)
const silent = pino({ level: 'silent' })

/** Starts the job worker of a region with everything it works on. */
export async function startRealWorker(
  place: RegionPlace,
  options: { onStep?: JobContext['onStep']; log?: Logger } = {},
) {
  const { region, dir, databaseUrl } = place
  const log = options.log ?? silent
  const fleet = await openFleet(join(dir, 'fleet'))
  const database = openDatabase({ url: databaseUrl })
  const identity = await issueControl(fleet, regionControlName(region))
  const hosts = await startHost({ dir: join(dir, region, 'hsms'), fleet, issuer: await loadDeviceIssuer(fleet), log })
  const backups = await openBackupStore(join(dir, region, 'backups'))
  const accounts = () => database.read.identity.load()
  const receiver = copyReceiver(database, backups, () => new Date(), log)
  const listener = await serveRegions({ host: '127.0.0.1', port: 0, identity, fleet, receiver, accounts, log })
  const peers = () => new Map(Object.entries(place.peers).map(([name, port]) => [name, { host: '127.0.0.1', port }]))
  const regions = regionClient({ region, peers, identity, fleet })
  const worker = startJobWorker({
    name: 'worker',
    database,
    databaseUrl,
    log,
    host: { id: 'host', zones: zonesOf(region), capacity: 100 },
    ports: { hosts: { on: () => hosts }, hsms: hsmPort(identity, fleet), backups, regions },
    onStep: options.onStep,
  })
  return {
    peerPort: listener.port,
    stop: async ({ leaveHsms }: { leaveHsms: boolean }) => {
      await worker.stop()
      regions.close()
      await listener.close()
      await hosts.stop({ leaveRunning: leaveHsms })
      await database.close()
    },
  }
}

/** Starts the API of a region, and a client of the real SDK for it. */
export async function startRealApi({ region, dir, databaseUrl, peers }: RegionPlace) {
  const database = openDatabase({ url: databaseUrl })
  const key = configuredKey('000000000000' as AccountId, 'test', 'test')
  const api = createApi({
    region,
    database,
    identity: identities({
      configured: new Map([['test', key]]),
      database,
      identityKey: identityKey(Buffer.alloc(32)),
      log: silent,
    }),
    addresses: addressPool(await addressBlock(join(dir, region, 'addresses.json'))),
    zones: zonesOf(region),
    configuredSubnets: new Map(),
    unknownSubnets: 'assign',
    offeredHsmTypes: ['hsm2m.medium'],
    knownRegions: [region, ...Object.keys(peers)],
    pageTokenKey: Buffer.alloc(32, 1),
    limits: LIMITS,
    clock: () => new Date(),
    realClock: () => new Date(),
    operator: { key: new Secret('operator key') },
    log: silent,
    ready: () => Promise.resolve({ ready: true, checks: {} }),
  })
  const server = createServer(api).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const aws = new CloudHSMV2({ endpoint: `http://127.0.0.1:${port}`, region, credentials })
  return {
    aws,
    stop: async () => {
      aws.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      await database.close()
    },
  }
}
