/** configure-cli: writes the configuration that cloudhsm-cli reads. */
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { Command, CommanderError, Option } from 'commander'
import { z } from 'zod'
import { ID_PATTERNS } from '../../../provider-schema/ids.ts'
import { certificatesOf } from '../../sdk/trust.ts'
import { CliError } from '../cli-error.ts'
import { LOG_LEVELS, LOG_ROTATIONS, messageOf, readConfig, writeConfig } from '../config.ts'
import { clientHome, configFileOf } from '../home.ts'
import { applyChanges } from './settings.ts'

const isHost = (text: string) => isIP(text) !== 0 || /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,252})$/.test(text)

const flags = z.object({
  address: z
    .array(
      z.string().refine(isHost, { error: ({ input }) => `${String(input)} is neither an IP address nor a host name` }),
    )
    .min(1)
    .optional(),
  clusterId: z.string().regex(ID_PATTERNS.cluster, 'a cluster id looks like cluster-abcdefghijk').optional(),
  endpoint: z.url({ protocol: /^https?$/, error: 'an endpoint is an http or https URL' }).optional(),
  region: z.string().min(1, '--region names no region').optional(),
  hsmCaCert: z.string().optional(),
  disableKeyAvailabilityCheck: z.literal(true).optional(),
  enableKeyAvailabilityCheck: z.literal(true).optional(),
  defaultRetryMode: z.enum(['standard', 'off']).optional(),
  clientCertHsmTlsFile: z.string().optional(),
  clientKeyHsmTlsFile: z.string().optional(),
  logType: z.enum(['file', 'term']).optional(),
  logFile: z.string().min(1, '--log-file names no file').optional(),
  logLevel: z.enum(LOG_LEVELS).optional(),
  logRotation: z.enum(LOG_ROTATIONS).optional(),
})
type Flags = z.output<typeof flags>

/** Gives the exit code. Says on standard output what was written, on standard error what is wrong. */
export async function configureCli(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const program = describeFlags().exitOverride()
  try {
    program.parse([...words], { from: 'user' })
    if (words.length === 0) program.help()
    const { file, summary } = await configure(parseFlags(program.opts()), environment)
    process.stdout.write(`${file} was written: ${summary}\n`)
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode // commander has said what is wrong
    if (!(error instanceof CliError)) throw error
    process.stderr.write(`error: ${error.message}\n`)
    return 1
  }
}

function describeFlags(): Command {
  return new Command('configure-cli')
    .description('Tells cloudhsm-cli which cluster to talk to. Each call changes what it names and leaves the rest.')
    .option('-a, --address <ip...>', 'address of one or more HSMs of the cluster (EniIp in DescribeClusters)')
    .addOption(
      new Option('--cluster-id <id>', 'look the addresses up: every active HSM of this cluster').conflicts('address'),
    )
    .option('--endpoint <url>', 'URL of the API to look them up at; else the one of AWS')
    .option('--region <region>', 'region to look them up in; else the one of the environment, else us-east-1')
    .option(
      '--hsm-ca-cert <file>',
      "certificate of the CA that signed the cluster's CSR (PEM); default etc/customerCA.crt",
    )
    .option('--disable-key-availability-check', 'use keys that only one HSM holds: needed with a single HSM')
    .addOption(
      new Option('--enable-key-availability-check', 'make and use keys only when two HSMs hold them').conflicts(
        'disableKeyAvailabilityCheck',
      ),
    )
    .addOption(new Option('--default-retry-mode <mode>', 'try throttled requests again').choices(['standard', 'off']))
    .option('--client-cert-hsm-tls-file <file>', 'client certificate to show to the HSMs (PEM, with its chain)')
    .option('--client-key-hsm-tls-file <file>', 'its private key, unencrypted (PEM)')
    .addOption(new Option('--log-type <type>', 'log to a file or to the terminal').choices(['file', 'term']))
    .option('--log-file <file>', 'where to log; default run/cloudhsm-cli.log')
    .addOption(new Option('--log-level <level>', 'how much to log').choices([...LOG_LEVELS]))
    .addOption(new Option('--log-rotation <interval>', 'begin a new log file').choices([...LOG_ROTATIONS]))
    .addHelpText(
      'after',
      `
The file is etc/cloudhsm-cli.cfg below CLOUDHSM_HOME; without that below /opt/cloudhsm where it exists and may be read,
else below the user's configuration directory.

Examples:
  configure-cli -a 127.0.10.1 --hsm-ca-cert customerCA.crt --disable-key-availability-check
  configure-cli --cluster-id cluster-abcdefghijk --endpoint http://127.0.0.1:4570 --region us-east-1`,
    )
}

function parseFlags(options: unknown): Flags {
  const parsed = flags.safeParse(options)
  if (!parsed.success) throw new CliError(parsed.error.issues.map(({ message }) => message).join('; '))
  return parsed.data
}

async function configure(given: Flags, environment: NodeJS.ProcessEnv): Promise<{ file: string; summary: string }> {
  const { clusterId, endpoint, region } = given
  if (clusterId === undefined && (endpoint !== undefined || region !== undefined)) {
    throw new CliError('--endpoint and --region say where to look a cluster up: name it with --cluster-id')
  }
  const file = configFileOf(clientHome(environment))
  const config = readConfig(file)
  const hsmCaFile = certificateFile(given.hsmCaCert)
  const clientCertFile = certificateFile(given.clientCertHsmTlsFile)
  let addresses = given.address
  if (clusterId !== undefined) {
    const { activeHsmAddresses } = await import('./describe-cluster.ts')
    addresses = await activeHsmAddresses({ clusterId, endpoint, region }, environment)
  }
  const changed = applyChanges(config, {
    servers: addresses && { addresses: [...new Set(addresses)], clusterId },
    hsmCaFile,
    clientCertFile,
    clientKeyFile: privateKeyFile(given.clientKeyHsmTlsFile),
    keyAvailabilityCheck: given.enableKeyAvailabilityCheck ?? (given.disableKeyAvailabilityCheck ? false : undefined),
    retryMode: given.defaultRetryMode,
    logType: given.logType,
    logFile: given.logFile === undefined ? undefined : resolve(given.logFile),
    logLevel: given.logLevel,
    logRotation: given.logRotation,
  })
  writeConfig(file, changed)
  const servers = changed.clusters[0]?.cluster.servers.map(({ hostname }) => hostname).join(', ')
  return { file, summary: servers ? `HSMs at ${servers}` : 'no HSM is configured yet; add one with -a or --cluster-id' }
}

const certificateFile = (path: string | undefined) => fileOf('a certificate', path, certificatesOf)
const privateKeyFile = (path: string | undefined) => fileOf('an unencrypted private key', path, createPrivateKey)

/** The absolute path of a file with something that can be read. Throws CliError when it cannot. */
function fileOf(what: string, path: string | undefined, read: (pem: string) => unknown): string | undefined {
  if (path === undefined) return undefined
  const absolute = resolve(path)
  try {
    read(readFileSync(absolute, 'utf8'))
  } catch (error) {
    throw new CliError(`${absolute} cannot be used as ${what}: ${messageOf(error)}`)
  }
  return absolute
}
