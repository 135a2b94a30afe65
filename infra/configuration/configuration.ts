/**
 * What an operator can decide, with defaults that suit a developer's machine. Sources, the later the stronger: defaults,
 * the file (`--config`, else `strongroom.json` in the data directory), environment, command line.
 */
import { z } from 'zod'
import { HSM_TYPES, LIMITS } from '../../provider-schema/limits.ts'
import { ID_PATTERNS } from '../../provider-schema/ids.ts'
import { KEY_SEPARATIONS } from '../../workers/hsm/policy/key-separation.ts'

/** A region's name as the service model has it. */
export const REGION_NAME = /^[a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}-[0-9]$/

export const DEFAULT_PORT = 4570
export const DEFAULT_REGIONS = ['us-east-1'] as const

const regionName = z.string().regex(REGION_NAME, 'not a region, e.g. us-east-1')
const port = z.int().min(0).max(65_535)
const databaseUrl = z.string().regex(/^postgres(ql)?:\/\//, 'not a postgres:// URL')

const accessKey = z.strictObject({
  id: z.string().min(1).max(128),
  secret: z.string().min(1).max(256),
  /** Name of the user in the principal's ARN. */
  user: z.string().min(1).max(64).optional(),
})
const account = z.strictObject({
  id: z.string().regex(/^\d{12}$/, 'an account has twelve digits'),
  accessKeys: z.array(accessKey).min(1),
})
export type Account = z.infer<typeof account>

/** Access key `test`, secret `test`: for a listener on loopback only. */
export const DEFAULT_ACCOUNTS: Account[] = [{ id: '000000000000', accessKeys: [{ id: 'test', secret: 'test' }] }]

const subnet = z.strictObject({
  zone: z.string().min(1),
  vpc: z.string().regex(/^vpc-[0-9a-f]{8,17}$/),
  /** IPv4 prefix, e.g. `10.0.1.0/24`. */
  cidr: z.string().optional(),
})

const perRegion = z.strictObject({
  /** Default: the name with a, b and c. */
  zones: z.array(z.string().min(1)).min(1).optional(),
  /** Used as it is, instead of one derived from the common one. */
  databaseUrl: databaseUrl.optional(),
  /** For `strongroom region`: where other regions reach this one's mTLS listener, `host:port`. */
  peer: z.string().optional(),
})
export type PerRegion = z.infer<typeof perRegion>

/** Everything that a file may say. */
export const configurationFile = z.strictObject({
  port: port.default(DEFAULT_PORT),
  /** Address of the listener. */
  listen: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  regions: z.array(regionName).min(1).optional(),
  region: z.record(regionName, perRegion).default({}),
  /** A PostgreSQL server instead of the embedded one; a database for each region is made on it. */
  databaseUrl: databaseUrl.optional(),
  accounts: z.array(account).min(1).default(DEFAULT_ACCOUNTS),
  subnets: z.record(z.string().regex(ID_PATTERNS.subnet), subnet).default({}),
  /** A subnet that nobody configured is given a zone and remembered, or refused. */
  unknownSubnets: z.enum(['assign', 'refuse']).default('assign'),
  /** Delivered audit logs. */
  audit: z
    .strictObject({
      /** Files that were not written to for this long are removed; without it they stay for ever. */
      retentionDays: z.int().min(1).optional(),
    })
    .prefault({}),
  offeredHsmTypes: z.array(z.enum(HSM_TYPES)).min(1).default(['hsm2m.medium']),
  /** Which uses of a key exclude each other, for every HSM (docs/keys.md). */
  keySeparation: z.enum(KEY_SEPARATIONS).default('trusted'),
  limits: z
    .strictObject({
      clustersPerAccount: z.int().min(1).default(LIMITS.clustersPerAccount),
      hsmsPerAccount: z.int().min(1).default(LIMITS.hsmsPerAccount),
      hsmsPerCluster: z.int().min(1).max(LIMITS.hsmsPerCluster).default(LIMITS.hsmsPerCluster),
    })
    .prefault({}),
})

export type Configuration = Readonly<z.infer<typeof configurationFile>> & {
  /** Absolute path of the data directory. */
  readonly data: string
  readonly regions: readonly string[]
  /** The data directory is removed at the end. */
  readonly ephemeral: boolean
}

export const zonesOf = (configuration: Configuration, region: string): readonly string[] =>
  configuration.region[region]?.zones ?? ['a', 'b', 'c'].map((letter) => `${region}${letter}`)
