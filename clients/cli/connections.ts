/** The clusters a tool run is connected to: one client each, made when first needed, closed at the end. */
import { readFileSync } from 'node:fs'
import { role as roleShape } from '../../workers/hsm/protocol/values.ts'
import type { Client } from '../sdk/client.ts'
import { versioned } from '../sdk/version.ts'
import { CliError } from './cli-error.ts'
import { clusterOf, messageOf, readConfig, type CliConfig, type ClusterSettings } from './config.ts'
import { configFileOf, defaultCaFileOf } from './home.ts'
import type { Log } from './log.ts'

/** A user name, role and password from the environment (data-plane §2.1). */
export interface Credentials {
  readonly username: string
  readonly role: 'admin' | 'crypto-user'
  readonly password: string
}

export class Connections {
  readonly #file: string
  readonly #defaultCaFile: string
  readonly #log: Log
  readonly #clients = new Map<ClusterSettings, Promise<Client>>()
  #config: CliConfig | undefined

  constructor(home: string, log: Log) {
    this.#file = configFileOf(home)
    this.#defaultCaFile = defaultCaFileOf(home)
    this.#log = log
  }

  /** The client of the cluster, connected. Throws CliError or ClientError. */
  async to(clusterId: string | undefined): Promise<Client> {
    this.#config ??= readConfig(this.#file)
    const settings = clusterOf(this.#config, this.#file, clusterId)
    let client = this.#clients.get(settings)
    if (!client) {
      client = this.#connect(settings, clusterId)
      this.#clients.set(settings, client)
      // The next command tries again.
      client.catch(() => this.#clients.delete(settings))
    }
    const connected = await client
    if (clusterId !== undefined && clusterId !== connected.clusterId) {
      throw new CliError(`The HSMs configured in ${this.#file} belong to ${connected.clusterId}, not to ${clusterId}`)
    }
    return connected
  }

  /** The client of the cluster if there is one already: nothing is connected for it. */
  async known(clusterId: string | undefined): Promise<Client | undefined> {
    if (!this.#config) return undefined
    return this.#clients.get(clusterOf(this.#config, this.#file, clusterId))
  }

  async close(): Promise<void> {
    const clients = await Promise.allSettled([...this.#clients.values()])
    this.#clients.clear()
    await Promise.all(clients.flatMap((client) => (client.status === 'fulfilled' ? [client.value.close()] : [])))
  }

  async #connect(settings: ClusterSettings, clusterId: string | undefined): Promise<Client> {
    const servers = settings.servers.filter(({ enable }) => enable)
    if (servers.length === 0)
      throw new CliError(`No HSM is configured in ${this.#file}. Run: configure-cli -a <address>`)
    const { createClient } = await import('../sdk/client.ts')
    return createClient({
      servers,
      caFile: settings.hsm_ca_file ?? this.#defaultCaFile,
      clientCertificate: clientCertificate(settings),
      clusterId: clusterId ?? settings.cluster_id,
      requireTwoCopies: !settings.options.disable_key_availability_check,
      retry: settings.options.default_retry_mode,
      clientName: versioned('cloudhsm-cli'),
      log: this.#log,
    })
  }
}

function clientCertificate({ client_cert_path: certFile, client_key_path: keyFile }: ClusterSettings) {
  if (certFile === undefined && keyFile === undefined) return undefined
  if (keyFile === undefined) throw half('certificate and no key: configure-cli --client-key-hsm-tls-file')
  if (certFile === undefined) throw half('key and no certificate: configure-cli --client-cert-hsm-tls-file')
  try {
    return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
  } catch (error) {
    throw new CliError(`cannot read the client certificate or its key: ${messageOf(error)}`)
  }
}

const half = (what: string) => new CliError(`The configuration names a client ${what} FILE`)

/** `CLOUDHSM_ROLE` and `CLOUDHSM_PIN`. Throws CliError when only half of it is there; never says what the PIN is. */
export function credentialsOf(environment: NodeJS.ProcessEnv): Credentials | undefined {
  const { CLOUDHSM_ROLE: roleName, CLOUDHSM_PIN: pin } = environment
  if (!roleName && !pin) return undefined
  if (!roleName || !pin) throw new CliError('Set both CLOUDHSM_ROLE and CLOUDHSM_PIN, or neither')
  const role = roleShape.safeParse(roleName)
  if (!role.success) throw new CliError('CLOUDHSM_ROLE must be admin or crypto-user')
  const colon = pin.indexOf(':')
  if (colon < 1 || colon === pin.length - 1) throw new CliError('CLOUDHSM_PIN must have the form user:password')
  return { username: pin.slice(0, colon), role: role.data, password: pin.slice(colon + 1) }
}
