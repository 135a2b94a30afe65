/**
 * The tools' configuration file, in the JSON of AWS's own (data-plane §2.5). What we do not know in it is kept.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { HSM_PORTS } from '../../provider-schema/limits.ts'
import { CliError } from './cli-error.ts'

const server = z.looseObject({
  hostname: z.string().min(1),
  port: z.number().int().min(1).max(65_535).default(HSM_PORTS.client),
  enable: z.boolean().default(true),
})

const clusterSettings = z.looseObject({
  cluster_id: z.string().optional(),
  hsm_ca_file: z.string().optional(),
  servers: z.array(server).default([]),
  options: z
    .looseObject({
      disable_key_availability_check: z.boolean().default(false),
      default_retry_mode: z.enum(['standard', 'off']).optional(),
    })
    .prefault({}),
  client_cert_path: z.string().optional(),
  client_key_path: z.string().optional(),
})
export type ClusterSettings = z.output<typeof clusterSettings>

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export const LOG_ROTATIONS = ['never', 'hourly', 'daily'] as const

const logging = z.looseObject({
  log_type: z.enum(['file', 'term']).default('file'),
  log_file: z.string().optional(),
  log_level: z.enum(LOG_LEVELS).default('info'),
  log_interval: z.enum(LOG_ROTATIONS).default('never'),
})
export type LogSettings = z.output<typeof logging>

const config = z.looseObject({
  clusters: z.array(z.looseObject({ type: z.string().default('hsm1'), cluster: clusterSettings })).default([]),
  logging: logging.prefault({}),
})
export type CliConfig = z.output<typeof config>

/** An empty configuration, when the file does not exist. Throws CliError when it is there but cannot be understood. */
export function readConfig(file: string): CliConfig {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (isMissing(error)) return config.parse({})
    throw new CliError(`cannot read ${file}: ${messageOf(error)}`)
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new CliError(`${file} is not JSON: ${messageOf(error)}`)
  }
  const parsed = config.safeParse(json)
  if (!parsed.success) throw new CliError(`${file} is not a configuration: ${z.prettifyError(parsed.error)}`)
  return parsed.data
}

/**
 * Replaces the file in one step: a reader sees the old one or the new one. It keeps who may read it, and where it is a
 * link, the file that it leads to is replaced.
 */
export function writeConfig(path: string, settings: CliConfig): void {
  let file = path
  let draft = path
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    const known = statSync(path, { throwIfNoEntry: false })
    if (known) file = realpathSync(path)
    draft = `${file}.${randomBytes(6).toString('hex')}`
    const mode = known ? known.mode & 0o777 : 0o644
    writeFileSync(draft, `${JSON.stringify(settings, null, 2)}\n`, { mode, flush: true })
    if (known) chmodSync(draft, mode) // whatever the umask
    renameSync(draft, file)
  } catch (error) {
    if (draft !== path) rmSync(draft, { force: true })
    throw new CliError(`cannot write ${path}: ${messageOf(error)}. CLOUDHSM_HOME can name another place`)
  }
}

/** The settings of one cluster: the one of this id, or the only one. Throws CliError when there is none, or a choice. */
export function clusterOf({ clusters }: CliConfig, file: string, clusterId?: string): ClusterSettings {
  const [first, ...others] = clusters
  if (!first) {
    throw new CliError(
      `No cluster is configured in ${file}. Run: configure-cli -a <HSM IP address> --hsm-ca-cert <certificate file>`,
    )
  }
  const ids = clusters.map(({ cluster }) => cluster.cluster_id ?? 'unnamed').join(', ')
  if (clusterId === undefined) {
    if (others.length > 0) throw new CliError(`Several clusters are configured (${ids}): say which with --cluster-id`)
    return first.cluster
  }
  const named = clusters.find(({ cluster }) => cluster.cluster_id === clusterId)
  if (named) return named.cluster
  // Configured by address: which cluster it is turns out when an HSM answers.
  if (others.length === 0 && first.cluster.cluster_id === undefined) return first.cluster
  throw new CliError(`The cluster ${clusterId} is not configured in ${file} (there is: ${ids})`)
}

const isMissing = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT'
export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
