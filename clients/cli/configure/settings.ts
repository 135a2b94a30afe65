/** What configure-cli's flags change in a configuration. */
import { HSM_PORTS } from '../../../provider-schema/limits.ts'
import { CliError } from '../cli-error.ts'
import type { CliConfig, ClusterSettings, LogSettings } from '../config.ts'

/** Each call changes what it names and leaves the rest. */
export interface Changes {
  /** The HSMs' addresses, and the cluster they were looked up for, if they were. */
  readonly servers?: { readonly addresses: readonly string[]; readonly clusterId: string | undefined } | undefined
  readonly hsmCaFile?: string | undefined
  readonly clientCertFile?: string | undefined
  readonly clientKeyFile?: string | undefined
  readonly keyAvailabilityCheck?: boolean | undefined
  readonly retryMode?: 'standard' | 'off' | undefined
  readonly logType?: LogSettings['log_type'] | undefined
  readonly logFile?: string | undefined
  readonly logLevel?: LogSettings['log_level'] | undefined
  readonly logRotation?: LogSettings['log_interval'] | undefined
}

/** The new configuration; the old one is left as it is. Throws CliError when it names several clusters. */
export function applyChanges(config: CliConfig, changes: Changes): CliConfig {
  const [first, ...others] = config.clusters
  if (others.length > 0) throw new CliError('Several clusters are configured; configure-cli changes only a single one')
  const entry = first ?? { type: 'hsm1', cluster: { servers: [], options: { disable_key_availability_check: false } } }
  const { logType, logFile, logLevel, logRotation } = changes
  return {
    ...config,
    clusters: [{ ...entry, cluster: changedCluster(entry.cluster, changes) }],
    logging: {
      ...config.logging,
      ...(logType !== undefined && { log_type: logType }),
      ...(logFile !== undefined && { log_file: logFile }),
      ...(logLevel !== undefined && { log_level: logLevel }),
      ...(logRotation !== undefined && { log_interval: logRotation }),
    },
  }
}

function changedCluster(cluster: ClusterSettings, changes: Changes): ClusterSettings {
  const { servers, hsmCaFile, clientCertFile, clientKeyFile, keyAvailabilityCheck, retryMode } = changes
  const changed: ClusterSettings = {
    ...cluster,
    ...(hsmCaFile !== undefined && { hsm_ca_file: hsmCaFile }),
    options: {
      ...cluster.options,
      ...(keyAvailabilityCheck !== undefined && { disable_key_availability_check: !keyAvailabilityCheck }),
      ...(retryMode !== undefined && { default_retry_mode: retryMode }),
    },
    ...(clientCertFile !== undefined && { client_cert_path: clientCertFile }),
    ...(clientKeyFile !== undefined && { client_key_path: clientKeyFile }),
  }
  if (!servers) return changed
  // New addresses may be another cluster's: what was known of the old one does not hold for them.
  return {
    ...changed,
    cluster_id: servers.clusterId,
    servers: servers.addresses.map((hostname) => ({ hostname, port: HSM_PORTS.client, enable: true })),
  }
}
