/** `strongroom region`: one region, or a part of it, in this process. */
import { join } from 'node:path'
import { z } from 'zod'
import { zonesOf, type Configuration } from '../configuration/configuration.ts'
import { configuredDatabaseUrl } from '../configuration/database-url.ts'
import { loadConfiguration } from '../configuration/load.ts'
import { ownDirectory } from '../files/own-directory.ts'
import { createLog } from '../log/log.ts'
import { PLACES } from '../places.ts'
import { startRegion } from '../region/region.ts'
import { ROLES, sharedSettings, type Peers, type RegionSettings } from '../region/settings.ts'
import { Trouble } from '../trouble.ts'
import type { RegionFlags } from './flags.ts'

const roleNames = z.array(z.enum(ROLES)).min(1)

/** Until a signal. HSM processes run on when it ends: they do not need it. */
export async function region(flags: RegionFlags): Promise<void> {
  const configuration = await loadConfiguration({ ...flags, regions: undefined })
  const settings = settingsOf(configuration, flags)
  await ownDirectory(join(settings.data, PLACES.logs))
  const name = settings.roles.length === ROLES.length ? flags.region : `${flags.region}-${settings.roles.join('-')}`
  const log = createLog({ name, file: join(settings.data, PLACES.logs, `${name}.log`), terminal: true })
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
  const troubled = Promise.withResolvers<never>()
  troubled.promise.catch(() => undefined)
  const running = await startRegion(settings, log, troubled.reject)
  const parts = [
    running.apiPort === undefined ? '' : `API on http://${settings.listen.host}:${running.apiPort}`,
    running.peerPort === undefined ? '' : `other regions on port ${running.peerPort}`,
  ].filter((part) => part !== '')
  process.stdout.write(`${flags.region}: ${parts.join(', ')}\n`)
  try {
    await Promise.race([signalled, troubled.promise])
  } finally {
    await running.stop({ leaveHsms: true })
  }
}

function settingsOf(configuration: Configuration, flags: RegionFlags): RegionSettings {
  const { data } = configuration
  const databaseUrl = configuredDatabaseUrl(configuration, flags.region)
  if (databaseUrl === undefined) {
    throw new Trouble('A region that runs alone needs a PostgreSQL server.', {
      mend: 'Set STRONGROOM_DATABASE_URL, or start everything with "strongroom up".',
    })
  }
  const roles = roleNames.safeParse(flags.roles.split(',').map((role) => role.trim()))
  if (!roles.success) throw new Trouble(`--roles ${flags.roles}: there are ${ROLES.join(' and ')}.`)
  const peers = peersOf(configuration)
  return {
    ...sharedSettings(configuration),
    ...{ data, databaseUrl, peers },
    region: flags.region,
    knownRegions: [...new Set([flags.region, ...Object.keys(peers)])],
    zones: [...zonesOf(configuration, flags.region)],
    roles: roles.data,
    runsHsms: flags.hsms,
    listen: { host: configuration.listen, port: configuration.port },
    peerListen: { host: configuration.listen, port: portOf(flags.peerPort) },
  }
}

/** Where the configuration says that regions listen for each other. */
function peersOf({ region }: Configuration): Peers {
  const peers: Peers = {}
  for (const [name, { peer }] of Object.entries(region)) {
    if (peer === undefined) continue
    const colon = peer.lastIndexOf(':')
    peers[name] = { host: peer.slice(0, colon), port: portOf(peer.slice(colon + 1)) }
  }
  return peers
}

function portOf(text: string | undefined): number {
  const port = Number(text ?? 0)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new Trouble(`${String(text)} is not a port.`)
}
