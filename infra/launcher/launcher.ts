/**
 * Everything on one machine: the embedded PostgreSQL, a process for each region, the front door. Keeps them alive, and
 * stops them in order. Is itself expendable: when it is killed, HSMs and PostgreSQL run on and the next one takes over.
 */
import { chmod, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { configuredDatabaseUrl, databaseName } from '../configuration/database-url.ts'
import { zonesOf, type Configuration } from '../configuration/configuration.ts'
import { openFrontDoor, type FrontDoor } from '../front-door/front-door.ts'
import { exists } from '../files/exists.ts'
import { ownDirectory } from '../files/own-directory.ts'
import { createLog } from '../log/log.ts'
import { PLACES } from '../places.ts'
import { publishedAnchors } from '../pki/anchors.ts'
import { openFleet } from '../pki/fleet.ts'
import { startPostgres, type Postgres } from '../postgres/postgres.ts'
import { identityOf, type ProcessRecord } from '../processes/identity.ts'
import { takeLock } from '../processes/lock.ts'
import { sharedSettings, type Peers, type RegionSettings } from '../region/settings.ts'
import { codeOf, Trouble } from '../trouble.ts'
import { VERSION } from '../version.ts'
import { alreadyRunning, removeInstance, writeInstance } from './instance.ts'
import { keepRegion, type RegionProcess } from './region-process.ts'
import { whoHasPort } from './who-has-port.ts'

export interface Launcher {
  readonly url: string
  /** Of the embedded server; undefined when the operator's is used. */
  readonly postgresPort: number | undefined
  /** Resolves when every region can serve; rejects when one never will. */
  readonly ready: Promise<void>
  /** What is not ready yet, for people. */
  waitingFor(): Promise<string[]>
  /** Ends everything, HSM processes too; what they hold is on disk. */
  stop(): Promise<void>
}

const LOOK_MS = 25

/** Starts everything. Throws a Trouble when the directory or the port is taken, or PostgreSQL does not start. */
export async function startLauncher(configuration: Configuration): Promise<Launcher> {
  const { data } = configuration
  await ownDirectory(data)
  // As root, PostgreSQL may have to run as another user, who must pass. What is in here has modes of its own.
  if (process.getuid?.() === 0) await chmod(data, 0o711)
  const lock = await takeLock(join(data, PLACES.lock))
  if ('heldBy' in lock) throw await alreadyRunning(data, lock.heldBy.pid)
  // Undone in reverse order, at a stop or when the start fails.
  const undo: (() => Promise<unknown>)[] = [() => lock.release()]
  const stop = async () => {
    for (const step of undo.splice(0).toReversed()) await step()
    if (configuration.ephemeral) await rm(data, { recursive: true, force: true })
  }
  try {
    const log = createLog({ name: 'strongroom', file: join(data, PLACES.logs, 'strongroom.log'), terminal: true })
    return await start(configuration, log, undo, stop)
  } catch (error) {
    const wasRemoved = await isRemoved(data)
    await stop()
    throw wasRemoved ? removedTrouble(data, error) : error
  }
}

async function start(
  configuration: Configuration,
  log: Logger,
  undo: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<Launcher> {
  const { data, regions } = configuration
  let anchors: Readonly<Record<string, string>> = {}
  const frontDoor = await openFrontDoor({
    listen: configuration.listen,
    port: configuration.port,
    regions,
    about: { pid: process.pid, data, version: VERSION },
    anchors: () => anchors,
    metrics: configuration.metrics,
    log,
  }).catch(async (error: unknown) => {
    throw await portTrouble(configuration, error)
  })
  undo.push(() => frontDoor.close())
  const url = `http://${bracketed(configuration.listen)}:${frontDoor.port}`
  log.info({ url, regions, version: VERSION }, 'starting')

  const record = recordOf(data, url, log)
  undo.push(() => record.remove())
  const isEmbedded = regions.some((region) => configuredDatabaseUrl(configuration, region) === undefined)
  const postgres = isEmbedded ? startPostgres(postgresOptions(data, log)) : Promise.resolve(undefined)
  const fleet = openFleet(join(data, PLACES.fleet))
  // Regions load their code while PostgreSQL starts.
  const troubled = Promise.withResolvers<never>()
  troubled.promise.catch(() => undefined)
  const processes = startRegions(configuration, { log, frontDoor, record, postgres, fleet, onTrouble: troubled.reject })
  undo.push(() => Promise.all(processes.map((each) => each.stop({ leaveHsms: false }))))

  const results = await Promise.allSettled([postgres, fleet])
  if (results[0].status === 'rejected') throw results[0].reason
  const server = results[0].value
  // PostgreSQL ends after the regions, which use it to the last.
  if (server) undo.splice(1, 0, () => server.stop())
  if (results[1].status === 'rejected') throw results[1].reason
  anchors = publishedAnchors(results[1].value)

  const stopped = new AbortController()
  undo.push(() => {
    stopped.abort()
    return Promise.resolve()
  })
  return {
    url,
    postgresPort: server?.port,
    ready: Promise.race([
      untilReady(frontDoor, data, stopped.signal).then(() => levelAccounts(configuration, server, log)),
      troubled.promise,
    ]),
    waitingFor: async () => {
      const readiness = await frontDoor.ready()
      return Object.entries(readiness.regions).flatMap(([region, { ready, checks }]) =>
        ready
          ? []
          : Object.entries(checks).flatMap(([what, how]) => (how === 'ok' ? [] : [`${region}: ${what} ${how}`])),
      )
    },
    stop,
  }
}

const postgresOptions = (data: string, log: Logger) => ({
  dir: join(data, PLACES.postgres),
  log,
  logFile: join(data, PLACES.logs, 'postgres.log'),
})

interface RegionsNeed {
  readonly log: Logger
  readonly frontDoor: FrontDoor
  readonly record: ReturnType<typeof recordOf>
  readonly postgres: Promise<Postgres | undefined>
  readonly fleet: Promise<unknown>
  readonly onTrouble: (trouble: Trouble) => void
}

function startRegions(configuration: Configuration, need: RegionsNeed): RegionProcess[] {
  const peers: Peers = {}
  const processes = configuration.regions.map((region) =>
    keepRegion({
      region,
      // The fleet is made once, before anybody uses it.
      settings: Promise.all([need.postgres, need.fleet]).then(([server]) => settingsOf(configuration, region, server)),
      log: need.log,
      onApi: (port) => need.frontDoor.setRegion(region, port),
      onPid: (pid) => need.record.setRegion(region, pid),
      onTrouble: need.onTrouble,
      onPeer: (port) => {
        peers[region] = { host: '127.0.0.1', port }
        for (const each of processes) each.setPeers(peers)
      },
    }),
  )
  return processes
}

function settingsOf(configuration: Configuration, region: string, server: Postgres | undefined): RegionSettings {
  const { data, regions } = configuration
  const databaseUrl = databaseUrlOf(configuration, region, server)
  return {
    ...sharedSettings(configuration),
    ...{ data, region, databaseUrl },
    knownRegions: [...regions],
    zones: [...zonesOf(configuration, region)],
    roles: ['api', 'jobs'],
    listen: { host: '127.0.0.1', port: 0 },
    peerListen: { host: '127.0.0.1', port: 0 },
    peers: {},
  }
}

function databaseUrlOf(configuration: Configuration, region: string, server: Postgres | undefined): string {
  const databaseUrl = configuredDatabaseUrl(configuration, region) ?? server?.url(databaseName(region))
  if (databaseUrl === undefined) throw new Error(`${region} has no database`)
  return databaseUrl
}

/**
 * A region that is new, or was not there when accounts were changed, learns them now. What it needs is loaded only when
 * there is more than one region; a failure keeps nobody from starting.
 */
async function levelAccounts(configuration: Configuration, server: Postgres | undefined, log: Logger): Promise<void> {
  const { regions } = configuration
  if (regions.length < 2) return
  try {
    const { levelRegions, openRegions } = await import('../identity/all-regions.ts')
    const opened = await openRegions(
      new Map(regions.map((region) => [region, databaseUrlOf(configuration, region, server)])),
    )
    try {
      const behind = await levelRegions(opened)
      if (behind.length > 0) log.info({ regions: behind }, 'regions learned the accounts that the others have')
    } finally {
      await opened.close()
    }
  } catch (error) {
    log.warn({ err: error }, 'regions may not know the same accounts; "strongroom account sync" brings them level')
  }
}

/** Keeps the record of what runs up to date; one write at a time. */
function recordOf(data: string, url: string, log: Logger) {
  const regions: Record<string, ProcessRecord> = {}
  const startedAt = new Date().toISOString()
  let last: Promise<unknown> = Promise.resolve()
  const queue = (work: () => Promise<unknown>) => {
    last = last.then(work).catch((error: unknown) => log.warn({ err: error }, 'what runs could not be written down'))
    return last
  }
  const write = () => writeInstance(data, { url, version: VERSION, startedAt, regions })
  void queue(write)
  return {
    setRegion: (region: string, pid: number | undefined) =>
      void queue(async () => {
        const identity = pid === undefined ? undefined : await identityOf(pid)
        if (pid !== undefined && identity !== undefined) regions[region] = { pid, identity }
        await write()
      }),
    remove: () => queue(() => removeInstance(data)),
  }
}

/** Throws when it never will be, since somebody removed the data directory. */
async function untilReady(frontDoor: FrontDoor, data: string, signal: AbortSignal): Promise<void> {
  while (!(await frontDoor.ready()).ready) {
    if (await isRemoved(data)) throw removedTrouble(data)
    await sleep(LOOK_MS, undefined, { signal })
  }
}

/** Parts of it may have been made again: the lock, which is there from the first moment on, is not. */
const isRemoved = async (data: string) => !(await exists(join(data, PLACES.lock)))

const removedTrouble = (data: string, cause?: unknown) =>
  new Trouble(`The data directory ${data} was removed while Strongroom started.`, {
    mend: 'Start it again, and leave the directory alone.',
    cause,
  })

async function portTrouble({ listen, port }: Configuration, error: unknown): Promise<unknown> {
  const place = `Port ${port} of ${listen}`
  if (codeOf(error) === 'EADDRINUSE') {
    const who = await whoHasPort(listen, port)
    return new Trouble(`${place} is in use by ${who}.`, { mend: 'Choose another with --port.', cause: error })
  }
  if (codeOf(error) === 'EACCES' || codeOf(error) === 'EADDRNOTAVAIL') {
    return new Trouble(`${place} cannot be listened on: ${String(codeOf(error))}.`, {
      mend: 'Choose another with --port and --listen.',
      cause: error,
    })
  }
  return error
}

const bracketed = (address: string) => (address.includes(':') ? `[${address}]` : address)
