/** `strongroom host`: the HSMs of a region that this machine runs. */
import { join } from 'node:path'
import { z } from 'zod'
import { REGION_NAME } from '../configuration/configuration.ts'
import { configuredDatabaseUrl } from '../configuration/database-url.ts'
import { loadConfiguration } from '../configuration/load.ts'
import { ownDirectory } from '../files/own-directory.ts'
import { addressesIn } from '../hosts/pool.ts'
import { runHost, type HostSettings } from '../hosts/run-host.ts'
import { createLog } from '../log/log.ts'
import { PLACES } from '../places.ts'
import { Trouble } from '../trouble.ts'
import type { HostFlags } from './flags.ts'

/** Also a name that a role of the database can have. */
const NAME = /^[a-z][a-z0-9_-]{0,62}$/
const capacityText = z.string().regex(/^\d{1,4}$/)
const zoneNames = z.array(z.string().min(1).max(64)).min(1)

/** Until a signal. HSM processes run on when it ends: they do not need it. */
export async function host(flags: HostFlags): Promise<void> {
  const settings = await settingsOf(flags)
  await ownDirectory(join(settings.data, PLACES.logs))
  const name = `${settings.region}-host`
  const log = createLog({ name, file: join(settings.data, PLACES.logs, `${name}.log`), terminal: true })
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
  const running = await runHost(settings, log)
  process.stdout.write(`${running.id} runs HSMs of ${settings.region} in ${settings.zones.join(', ')}\n`)
  await signalled
  await running.stop()
}

async function settingsOf(flags: HostFlags): Promise<HostSettings> {
  const { region } = flags
  if (!REGION_NAME.test(region)) throw new Trouble(`--region ${region} is not a region, e.g. us-east-1.`)
  const configuration = await loadConfiguration({ data: flags.data, config: flags.config })
  const databaseUrl = configuredDatabaseUrl(configuration, region)
  if (databaseUrl === undefined) {
    throw new Trouble("A host needs the region's PostgreSQL server.", { mend: 'Set STRONGROOM_DATABASE_URL.' })
  }
  if (flags.name !== undefined && !NAME.test(flags.name)) {
    throw new Trouble(`--name ${flags.name}: a name begins with a letter and has a–z, 0–9, "-" and "_".`)
  }
  const capacity = capacityText.safeParse(flags.capacity)
  if (!capacity.success) throw new Trouble(`--capacity ${flags.capacity} is not a number of HSMs.`)
  const zones = zoneNames.safeParse(flags.zones.split(',').map((zone) => zone.trim()))
  if (!zones.success) throw new Trouble(`--zones ${flags.zones} does not name availability zones.`)
  return {
    region,
    databaseUrl,
    name: flags.name,
    zones: zones.data,
    capacity: Number(capacity.data),
    addresses: flags.addresses === undefined ? undefined : addressesIn(flags.addresses),
    data: configuration.data,
    auditRetentionDays: configuration.audit.retentionDays,
  }
}
