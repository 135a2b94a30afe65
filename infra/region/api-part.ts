/** The API of a region on its port. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createApi } from '../../api/app.ts'
import { Secret } from '../../api/identity/secret.ts'
import type { ApiPorts, ConfiguredSubnet } from '../../api/ports.ts'
import { openRecorder } from '../../api/trail/recorder.ts'
import type { SubnetId, VpcId } from '../../provider-schema/ids.ts'
import { addressBlock, addressPool } from '../hosts/addresses.ts'
import { zoneAddresses } from '../hosts/zone-addresses.ts'
import { regionIdentity } from './identity.ts'
import { localUrl, newOperatorKey, removeOperatorAccess, writeOperatorAccess } from './operator-access.ts'
import { pageTokenKey } from './places.ts'
import type { RegionContext } from './region.ts'
import type { RegionSettings } from './settings.ts'

export interface ApiPart {
  readonly port: number
  stop(): Promise<void>
}

/** What is under way at a stop may take this long. */
const CLOSE_MS = 5_000

export async function startApi(context: RegionContext): Promise<ApiPart> {
  const { settings, checks, clock, places, log, database } = context
  const key = newOperatorKey()
  const recorder = openRecorder({ region: settings.region, database, log, reads: settings.trail.reads })
  const ports: ApiPorts = {
    region: settings.region,
    database,
    identity: await regionIdentity(context),
    addresses: zoneAddresses(database, addressPool(await addressBlock(context.places.addresses))),
    zones: settings.zones,
    configuredSubnets: subnetsOf(settings),
    unknownSubnets: settings.unknownSubnets,
    offeredHsmTypes: settings.offeredHsmTypes,
    knownRegions: settings.knownRegions,
    pageTokenKey: await pageTokenKey(context.places),
    limits: settings.limits,
    clock: clock.now,
    realClock: () => new Date(),
    operator: { key: new Secret(key), ...(settings.rehearsal && { advanceClock: clock.advance }) },
    log,
    trail: recorder,
    tracer: context.tracer,
    metrics: settings.metrics,
    ready: () =>
      Promise.resolve({
        ready: [...checks.values()].every((each) => each === 'ok'),
        checks: Object.fromEntries(checks),
      }),
  }
  const server = createServer(createApi(ports))
  server.headersTimeout = 15_000
  server.requestTimeout = 60_000
  // Longer than the front door keeps a connection that nobody uses, so that it never writes to one that we just closed.
  server.keepAliveTimeout = 120_000
  server.maxConnections = 4_096
  server.listen(settings.listen.port, settings.listen.host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const access = { url: localUrl(settings.listen.host, port), key }
  await writeOperatorAccess(places, access)
  return {
    port,
    stop: async () => {
      await removeOperatorAccess(places, access)
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS)
      await closed
      clearTimeout(timer)
      await recorder.stop()
    },
  }
}

/** The schema of the configuration has looked at the ids. */
function subnetsOf({ subnets }: RegionSettings): ReadonlyMap<SubnetId, ConfiguredSubnet> {
  return new Map(
    Object.entries(subnets).map(([id, { zone, vpc, cidr }]) => [
      id as SubnetId,
      { zone, vpcId: vpc as VpcId, ...(cidr === undefined ? {} : { cidr }) },
    ]),
  )
}
