/**
 * A machine that runs HSMs of a region, and nothing else of it. What it has of the region is its database, where it finds
 * its orders, and the public part of the fleet; what only HSMs may have is the fleet's backup key. It holds no key of a
 * CA, no control certificate and no access key: it can start, stop and remove the HSMs that it was given.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { openDatabase, type Database } from '../../state/database.ts'
import { pause, stopped } from '../../workers/jobs/until-stopped.ts'
import { deliverAudits, deliverEnd } from '../audit/deliver.ts'
import { PLACES } from '../places.ts'
import { openFleet, type Fleet } from '../pki/fleet.ts'
import { takeLock } from '../processes/lock.ts'
import { hostId, makeRegionDirectory, regionPlaces } from '../region/places.ts'
import { Trouble, textOf } from '../trouble.ts'
import { addressBlock } from './addresses.ts'
import { carryOut, forgetTheGone } from './carry-out.ts'
import { startHost } from './host.ts'
import { addressesIn, freeOf } from './pool.ts'

export interface HostSettings {
  readonly region: string
  /** Availability zones that it stands in; as a rule one. */
  readonly zones: readonly string[]
  /** What it is called; undefined: a random name, kept in the data directory. */
  readonly name: string | undefined
  /** HSMs that it runs at most. */
  readonly capacity: number
  /** Undefined: a block of 127.0.0.0/8 of its own, which only this machine can reach. */
  readonly addresses: readonly string[] | undefined
  readonly data: string
  readonly databaseUrl: string
  readonly auditRetentionDays: number | undefined
}

export interface RunningHost {
  readonly id: string
  /** Lets go of the HSMs, which run on. */
  stop(): Promise<void>
}

const BEAT_MS = 2_000
/** Which addresses are free changes rarely, and asking costs three sockets for each. */
const OFFER_MS = 5_000
/** HSMs do not wait for a database that is away: what is to be gone can only be known when it is there. */
const FIRST_LOOK_MS = 5_000

/** Starts it. Resolves when its HSMs are looked after; the database may come later. */
export async function runHost(settings: HostSettings, log: Logger): Promise<RunningHost> {
  const places = regionPlaces(settings.data, settings.region)
  const fleet = await fleetOfHost(join(settings.data, PLACES.fleet), log)
  await makeRegionDirectory(places)
  const lock = await takeLock(places.jobsLock)
  if ('heldBy' in lock) {
    throw new Trouble(`Process ${lock.heldBy.pid} runs the HSMs of ${settings.region} in ${places.dir} already.`, {
      mend: 'Stop it, or use another --data.',
    })
  }
  const database = openDatabase({
    url: settings.databaseUrl,
    connections: 4,
    onConnectionError: (error) => log.warn({ err: error }, 'a connection to the database broke; it is made anew'),
  })
  const stopping = new AbortController()
  const { signal } = stopping
  try {
    const id = await nameOf(places, settings.name)
    const pool = settings.addresses ?? addressesIn(`${await addressBlock(places.addresses)}.0/24`)
    await firstLook(database, id, places.hsms, log)
    const host = await startHost({
      dir: places.hsms,
      fleet,
      log,
      beforeRemoval: (directory) => deliverEnd(directory, places.logs, log),
    })
    const retentionDays = settings.auditRetentionDays
    const running = Promise.all([
      beat(database, { id, zones: [...settings.zones], capacity: settings.capacity }, pool, log, signal),
      carryOut({ hostId: id, database, host, log, signal }),
      deliverAudits({ hsms: places.hsms, logs: places.logs, retentionDays, log, signal }),
    ])
    return {
      id,
      stop: async () => {
        stopping.abort()
        await Promise.race([running, sleep(8_000, undefined, { ref: false })])
        await host.stop({ leaveRunning: true })
        await Promise.race([database.close(), sleep(3_000, undefined, { ref: false })])
        await lock.release()
      },
    }
  } catch (error) {
    stopping.abort()
    await database.close().catch(() => undefined)
    await lock.release()
    throw error
  }
}

/** Of a fleet that is there: one made here would be another, whose HSMs nobody trusts. */
async function fleetOfHost(dir: string, log: Logger): Promise<Fleet> {
  const mend = `Copy them from the data directory of the region: fleet/*.pem and fleet/backup.key, to ${dir}. No other key.`
  const entries = await readdir(dir).catch(() => {
    throw new Trouble(`The certificates of the fleet are not in ${dir}.`, { mend })
  })
  const fleet = await openFleet(dir).catch((error: unknown) => {
    throw new Trouble(textOf(error), { mend, cause: error })
  })
  if (((await stat(fleet.backupKeyFile)).mode & 0o077) !== 0) {
    throw new Trouble(`${fleet.backupKeyFile} is open to others.`, { mend: `chmod 600 ${fleet.backupKeyFile}` })
  }
  const unneeded = entries.filter((name) => name.endsWith('.key') && join(dir, name) !== fleet.backupKeyFile)
  if (unneeded.length > 0)
    log.warn({ dir, keys: unneeded }, 'this host has keys that a host does not need: remove them')
  return fleet
}

/** The name goes with the HSMs: under another one nobody would look for them here. */
async function nameOf(places: Parameters<typeof hostId>[0], wanted: string | undefined): Promise<string> {
  const id = await hostId(places, wanted)
  if (wanted === undefined || wanted === id) return id
  throw new Trouble(`The host of ${places.dir} is called ${id}.`, { mend: `Leave out --name, or say --name ${id}.` })
}

async function firstLook(database: Database, id: string, hsms: string, log: Logger): Promise<void> {
  const timeout = sleep(FIRST_LOOK_MS, undefined, { ref: false }).then(() => {
    throw new Error('the database does not answer')
  })
  await Promise.race([forgetTheGone(database, id, hsms), timeout]).catch((error: unknown) => {
    log.warn({ reason: textOf(error) }, 'the HSMs are started without knowing whether one is to be removed')
  })
}

/** Says again and again that it lives, and which of its addresses are free. */
async function beat(
  database: Database,
  host: { readonly id: string; readonly zones: string[]; readonly capacity: number },
  pool: readonly string[],
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  let addresses: string[] = []
  let nextOffer = 0
  let complaint: string | undefined
  while (!stopped(signal)) {
    try {
      if (nextOffer <= Date.now()) {
        addresses = await freeOf(pool)
        nextOffer = Date.now() + OFFER_MS
      }
      await database.read.hosts.heartbeat({ ...host, addresses })
      complaint = undefined
    } catch (error) {
      if (textOf(error) !== complaint) log.warn({ err: error }, 'the heartbeat failed')
      complaint = textOf(error)
    }
    await pause(BEAT_MS, signal)
  }
}
