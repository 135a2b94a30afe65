/**
 * One region: its API, its job worker, its HSM host and its ear for other regions, put together. Here the parts meet;
 * none of them knows another but through its ports.
 */
import { X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Tracer } from '../../provider-schema/trace.ts'
import { openDatabase, type Database } from '../../state/database.ts'
import { claimForFleet } from '../../state/fleet.ts'
import { PLACES } from '../places.ts'
import { openFleet, type Fleet } from '../pki/fleet.ts'
import { join } from 'node:path'
import { openTracing } from '../telemetry/tracing.ts'
import { Trouble } from '../trouble.ts'
import { startApi, type ApiPart } from './api-part.ts'
import { keepClock, regionClock, type RegionClock } from './clock.ts'
import { startJobs, type JobsPart } from './jobs-part.ts'
import { makeRegionDirectory, regionPlaces, type RegionPlaces } from './places.ts'
import { prepareDatabase } from './prepare-database.ts'
import type { Peers, RegionSettings } from './settings.ts'

/** What all parts of a region share. */
export interface RegionContext {
  readonly settings: RegionSettings
  readonly places: RegionPlaces
  readonly fleet: Fleet
  readonly database: Database
  readonly log: Logger
  readonly clock: RegionClock
  /** Undefined when nothing is traced. */
  readonly tracer: Tracer | undefined
  /** Resolves once the database has the shape of this version, and the service clock is known. */
  readonly prepared: Promise<void>
  readonly peers: () => Peers
  /** What is not well at this moment, for the readiness; each part adds its own. */
  readonly checks: Map<string, string>
  readonly signal: AbortSignal
}

export interface Region {
  readonly apiPort: number | undefined
  readonly peerPort: number | undefined
  /** Where the other regions are from now on. */
  setPeers(peers: Peers): void
  /** Lets what is under way end. HSM processes run on, or end too. */
  stop(options: { readonly leaveHsms: boolean }): Promise<void>
}

/**
 * Starts the roles of a region. Resolves when they listen; the database may come later.
 *
 * @param onTrouble The database came, and nothing can be done with it as configured.
 */
export async function startRegion(
  settings: RegionSettings,
  log: Logger,
  onTrouble: (trouble: Trouble) => void,
): Promise<Region> {
  const stopping = new AbortController()
  const places = regionPlaces(settings.data, settings.region)
  await makeRegionDirectory(places)
  const fleet = await openFleet(join(settings.data, PLACES.fleet))
  const tracing = await openTracing(settings, log)
  const database = openDatabase({
    url: settings.databaseUrl,
    connections: 20,
    onConnectionError: (error) => log.warn({ err: error }, 'a connection to the database broke; it is made anew'),
  })
  let { peers } = settings
  const checks = new Map([['migrations', 'are being applied']])
  const clock = regionClock(database)
  const prepared = prepareDatabase(settings.databaseUrl, {
    log,
    signal: stopping.signal,
    onWaiting: (what) => checks.set('migrations', what),
  }).then(async () => {
    await requireOwn(database, fleet, settings)
    await clock.look()
    checks.set('migrations', 'ok')
  })
  const keeping = prepared.then(() => keepClock(clock, log, stopping.signal)).catch(() => undefined)
  // Whoever waits for it hears of it; a stop before is no failure.
  prepared.catch((error: unknown) => {
    if (error instanceof Trouble) onTrouble(error)
  })
  const context: RegionContext = {
    settings,
    places,
    fleet,
    database,
    log,
    clock,
    tracer: tracing?.tracer,
    prepared,
    peers: () => peers,
    checks,
    signal: stopping.signal,
  }
  let api: ApiPart | undefined
  let jobs: JobsPart | undefined
  const stop = async (leaveHsms: boolean) => {
    stopping.abort()
    await api?.stop()
    await jobs?.stop({ leaveHsms })
    await Promise.race([keeping, sleep(3_000, undefined, { ref: false })])
    await tracing?.stop()
    await Promise.race([database.close(), sleep(3_000, undefined, { ref: false })])
  }
  try {
    ;[api, jobs] = await Promise.all([
      settings.roles.includes('api') ? startApi(context) : undefined,
      settings.roles.includes('jobs') ? startJobs(context) : undefined,
    ])
  } catch (error) {
    await stop(true)
    throw error
  }
  return {
    apiPort: api?.port,
    peerPort: jobs?.peerPort,
    setPeers: (next) => (peers = next),
    stop: ({ leaveHsms }) => stop(leaveHsms),
  }
}

/** Two data directories on one database would each start what the other has the certificates of, and lose it. */
async function requireOwn(database: Database, fleet: Fleet, { data, region }: RegionSettings): Promise<void> {
  const root = new X509Certificate(fleet.root).fingerprint256.replaceAll(':', '').toLowerCase()
  if (await claimForFleet(database.sql, root)) return
  throw new Trouble(`The database of ${region} belongs to another fleet than the one in ${data}.`, {
    mend: 'Use the data directory that it was made with (its "fleet" is what counts), or a database of its own.',
  })
}
