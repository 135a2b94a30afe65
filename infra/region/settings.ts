/** What one region's process is told, by the launcher over IPC or by `strongroom region`. Holds secrets: never written. */
import { z } from 'zod'
import { configurationFile, type Configuration } from '../configuration/configuration.ts'

export const ROLES = ['api', 'jobs'] as const
export type Role = (typeof ROLES)[number]

const address = z.object({ host: z.string(), port: z.int().min(0).max(65_535) })
/** Where other regions listen for each other, by name. */
export const peers = z.record(z.string(), address)
export type Peers = z.infer<typeof peers>

/** What a region takes from the configuration as it stands there. */
const { shape } = configurationFile.pick({
  accounts: true,
  subnets: true,
  unknownSubnets: true,
  audit: true,
  offeredHsmTypes: true,
  keySeparation: true,
  limits: true,
  recovery: true,
  hsmTypeChange: true,
  pace: true,
  rehearsal: true,
  trail: true,
  metrics: true,
  telemetry: true,
})
const shared = z.object(shape)

type SharedSettings = z.infer<typeof shared>

export function sharedSettings(configuration: Configuration): SharedSettings {
  return shared.parse(configuration)
}

export const regionSettings = z.object({
  ...shape,
  region: z.string(),
  /** All regions a backup can be copied to. */
  knownRegions: z.array(z.string()),
  zones: z.array(z.string()).min(1),
  data: z.string(),
  databaseUrl: z.string(),
  /** `api` answers requests; `jobs` performs them, runs the HSMs and listens for other regions. */
  roles: z.array(z.enum(ROLES)).min(1),
  /** False: `jobs` places no HSM on this machine; those that are there run in any case. */
  runsHsms: z.boolean().optional(),
  /** Of the API; port 0 is any free one. */
  listen: address,
  /** Of the listener for other regions. */
  peerListen: address,
  peers,
})
export type RegionSettings = z.infer<typeof regionSettings>
