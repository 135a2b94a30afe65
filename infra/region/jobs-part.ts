/** The working part of a region: job worker, HSM host, and the listener for other regions. */
import { setTimeout as sleep } from 'node:timers/promises'
import { purgeTrail } from '../../state/audit.ts'
import { purgeChanges } from '../../state/cluster-changes.ts'
import { forgetDone } from '../../state/host-orders.ts'
import type { Pace } from '../../workers/jobs/pace.ts'
import { OLDEST_CLIENTS } from '../../workers/jobs/client-versions.ts'
import { startJobWorker, type JobWorker } from '../../workers/jobs/worker.ts'
import { deliverAudits, deliverEnd } from '../audit/deliver.ts'
import { openBackupStore, type BackupStore } from '../backup-store/directory-store.ts'
import { addressBlock, addressPool } from '../hosts/addresses.ts'
import { carryOut } from '../hosts/carry-out.ts'
import { startHost } from '../hosts/host.ts'
import { keepAccountsLevel } from '../identity/level.ts'
import { hostsOfRegion } from '../hosts/ordered-host.ts'
import { hsmPort } from '../management.ts'
import { issueControl } from '../pki/control.ts'
import { loadDeviceIssuer } from '../pki/device.ts'
import { regionControlName } from '../pki/names.ts'
import { takeLock } from '../processes/lock.ts'
import { regionClient } from '../regions/client.ts'
import { copyReceiver, sweepLostCopies } from '../regions/receive-copies.ts'
import { serveRegions } from '../regions/server.ts'
import { Trouble } from '../trouble.ts'
import { hostId } from './places.ts'
import type { RegionContext } from './region.ts'
import type { RegionSettings } from './settings.ts'

export interface JobsPart {
  readonly peerPort: number
  stop(options: { readonly leaveHsms: boolean }): Promise<void>
}

/** HSMs that one machine runs; each idles in some 80 MiB. */
const CAPACITY = 256
const SWEEP_MS = 60_000
/** What is too old for the trail is removed once an hour. */
const ROUNDS_PER_PURGE = 60

export async function startJobs(context: RegionContext): Promise<JobsPart> {
  const { settings, places, fleet, database, log, checks } = context
  checks.set('hsms', 'are being looked for')
  const lock = await takeLock(places.jobsLock)
  if ('heldBy' in lock) {
    throw new Trouble(`Process ${lock.heldBy.pid} runs the HSMs of ${settings.region} in ${places.dir} already.`, {
      mend: 'Stop it, or use another --data.',
    })
  }
  const [identity, issuer, backups, id] = await Promise.all([
    issueControl(fleet, regionControlName(settings.region)),
    loadDeviceIssuer(fleet),
    openBackupStore(places.backups),
    hostId(places),
  ])
  const host = await startHost({
    dir: places.hsms,
    fleet,
    issuer,
    keySeparation: settings.keySeparation,
    log,
    beforeRemoval: (directory) => deliverEnd(directory, places.logs, log),
    // The block is chosen when the API first needs it: both would choose one.
    addresses: { choose: async (...asked) => addressPool(await addressBlock(places.addresses)).choose(...asked) },
  })
  const stopping = new AbortController()
  const { retentionDays } = settings.audit
  const delivering = deliverAudits({
    hsms: places.hsms,
    logs: places.logs,
    retentionDays,
    log,
    signal: stopping.signal,
  })
  checks.set('hsms', 'ok')
  const listener = await serveRegions({
    ...settings.peerListen,
    identity,
    fleet,
    receiver: copyReceiver(database, backups, context.clock.now, log),
    accounts: () => database.read.identity.load(),
    log,
  })
  const regions = regionClient({
    region: settings.region,
    peers: () => new Map(Object.entries(context.peers())),
    identity,
    fleet,
  })
  checks.set('jobs', 'are starting')
  let worker: JobWorker | undefined
  let carrying: Promise<void> | undefined
  const { keySeparation } = settings
  const hosts = hostsOfRegion({ id, port: host }, { database, issuer, keySeparation })
  const working = context.prepared.then(() => {
    // What the job workers of other processes want of this host; as a rule there are none.
    carrying = carryOut({ hostId: id, database, host, log, signal: stopping.signal, everyMs: 1_000 })
    worker = startJobWorker({
      name: id,
      database,
      databaseUrl: settings.databaseUrl,
      ports: { hosts, hsms: hsmPort(identity, fleet), backups, regions },
      log,
      recovery: settings.recovery,
      oldestClients: { ...OLDEST_CLIENTS, ...settings.hsmTypeChange.oldestClients },
      clock: context.clock.now,
      pace: paceOf(settings),
      host: { id, zones: settings.zones, capacity: settings.runsHsms === false ? 0 : CAPACITY },
      tracer: context.tracer,
    })
    checks.set('jobs', 'ok')
  })
  working.catch(() => undefined)
  const sweeping = sweep(context, backups)
  const levelling = context.prepared
    .then(() => keepAccountsLevel({ region: settings.region, database, peers: regions, log }, context.signal))
    .catch(() => undefined)
  return {
    peerPort: listener.port,
    stop: async ({ leaveHsms }) => {
      await working.catch(() => undefined)
      // With the database away it would wait for it; what it holds is released when it is next started.
      await Promise.race([worker?.stop(), sleep(8_000, undefined, { ref: false })])
      regions.close()
      await listener.close()
      await sweeping
      await levelling
      await host.stop({ leaveRunning: leaveHsms })
      // Last, so that it finds what the HSMs wrote at their end.
      stopping.abort()
      await delivering
      await Promise.race([carrying, sleep(3_000, undefined, { ref: false })])
      await lock.release()
    },
  }
}

const paceOf = ({ pace }: RegionSettings): Pace => (pace === 'instant' ? 0 : pace === 'aws' ? 1 : pace)

/** Now and then gives up copies whose source was never heard of again, and removes what is too old for the trail. */
async function sweep(context: RegionContext, backups: BackupStore): Promise<void> {
  const { database, prepared, log, signal, settings } = context
  try {
    await prepared
    for (let round = 0; ; round++) {
      if (round % ROUNDS_PER_PURGE === 0) {
        await purgeTrail(database.sql, settings.trail.retentionDays).catch((error: unknown) => {
          log.warn({ err: error }, 'old rows of the trail could not be removed')
        })
      }
      await sleep(SWEEP_MS, undefined, { signal })
      await sweepLostCopies(database, backups).catch((error: unknown) => {
        log.warn({ err: error }, 'looking for lost copies failed')
      })
      await purgeChanges(database.sql).catch((error: unknown) => {
        log.warn({ err: error }, 'old rows of what changed could not be removed')
      })
      await forgetDone(database.sql).catch((error: unknown) => {
        log.warn({ err: error }, 'orders that hosts have carried out could not be removed')
      })
    }
  } catch {
    // Only the signal ends it.
  }
}
