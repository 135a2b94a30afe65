/**
 * What an operator can decide, with defaults that suit a developer's machine. Sources, the later the stronger: defaults,
 * the file (`--config`, else `strongroom.json` in the data directory), environment, command line.
 */
import { z } from 'zod'
import { HSM_TYPES, LIMITS } from '../../provider-schema/limits.ts'
import { RECOVERY } from '../../workers/jobs/recovery.ts'
import { ID_PATTERNS } from '../../provider-schema/ids.ts'
import { KEY_SEPARATIONS } from '../../provider-schema/key-separation.ts'

/** A region's name as the service model has it. */
export const REGION_NAME = /^[a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}-[0-9]$/

/** Slower than this would outlast what others wait for. */
const MOST_PACE = 5
const PACES = `must be instant, aws, or a number above 0 and up to ${MOST_PACE}`

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
  /** Their access keys may do everything. Empty: only those that `strongroom account` made. */
  accounts: z.array(account).default(DEFAULT_ACCOUNTS),
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
  /**
   * How long transitions take: as long as the work does, about as long as at AWS, or a fraction of that, e.g. 0.01.
   */
  pace: z.union([z.enum(['instant', 'aws']), z.number().positive().max(MOST_PACE)], PACES).default('instant'),
  /** The service clock may be moved ahead, with "strongroom clock advance". */
  rehearsal: z.boolean().default(false),
  /** Which uses of a key exclude each other, for every HSM (docs/keys.md). */
  keySeparation: z.enum(KEY_SEPARATIONS).default('trusted'),
  /** What is recorded of the API's calls, and how many days it is kept. The database keeps 90 days in any case. */
  trail: z
    .strictObject({
      /** Calls that only read; refused ones and those that change something always are. */
      reads: z.boolean().default(true),
      retentionDays: z.int().min(LIMITS.trailDays).max(36_500).default(LIMITS.trailDays),
    })
    .prefault({}),
  /** Who may read `/_strongroom/metrics`: whoever is on the same machine, anyone, or nobody. */
  metrics: z.enum(['loopback', 'anyone', 'off']).default('loopback'),
  telemetry: z
    .strictObject({
      /** Base URL of an OpenTelemetry collector (OTLP over HTTP, JSON); without it nothing is traced. */
      otlpEndpoint: z.url({ protocol: /^https?$/ }).optional(),
    })
    .prefault({}),
  limits: z
    .strictObject({
      clustersPerAccount: z.int().min(1).default(LIMITS.clustersPerAccount),
      hsmsPerAccount: z.int().min(1).default(LIMITS.hsmsPerAccount),
      hsmsPerCluster: z.int().min(1).max(LIMITS.hsmsPerCluster).default(LIMITS.hsmsPerCluster),
      /** Accounts that may have more, or less, than the others. */
      accounts: z
        .record(
          z.string().regex(/^\d{12}$/, 'an account has twelve digits'),
          z.strictObject({
            clustersPerAccount: z.int().min(1).optional(),
            hsmsPerAccount: z.int().min(1).optional(),
            hsmsPerCluster: z.int().min(1).max(LIMITS.hsmsPerCluster).optional(),
          }),
        )
        .default({}),
    })
    .prefault({}),
  /** How patient the service is with HSMs that cannot go on: see `Recovery` of workers/jobs. Seconds. */
  recovery: z
    .strictObject({
      lostSeconds: z.number().min(0).max(86_400).default(RECOVERY.lostSeconds),
      silentSeconds: z.number().min(10).max(86_400).default(RECOVERY.silentSeconds),
      validationSeconds: z.number().min(1).max(600).default(RECOVERY.validationSeconds),
    })
    .prefault({}),
  hsmTypeChange: z
    .strictObject({
      /**
       * The oldest version that clients of a name may have had in the last seven days, beyond what our own must have: by
       * the name that a client calls itself, `{"my-app": "2.4"}`.
       */
      oldestClients: z
        .record(
          z.string().regex(/^[\w.+-]{1,48}$/, 'a name of letters, digits, . + - _'),
          z.string().regex(/^\d+(\.\d+)*$/),
        )
        .default({}),
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
