/** Quotas and ranges of the service (control-plane reference §2.5, §1.1). The soft ones are defaults of the configuration. */
export const LIMITS = {
  clustersPerAccount: 4,
  hsmsPerAccount: 6,
  hsmsPerCluster: 28,
  /** One less than a cluster may have: AWS's precondition of a change of the HSM type (§2.4). */
  hsmsPerMigration: 27,
  tagsPerResource: 50,
  retentionDays: { min: 7, max: 379, default: 90 },
  /** Days from DeleteBackup, or the end of a backup's retention, until it is gone for good. */
  pendingDeletionDays: 7,
  /** Hours for which a deleted cluster can still be asked for. */
  deletedClusterHours: 24,
  /** Bytes of an API request body; a larger one is refused unread. */
  requestBody: 1024 * 1024,
} as const

export const HSM_TYPES = ['hsm1.medium', 'hsm2m.medium'] as const
export type HsmType = (typeof HSM_TYPES)[number]

/** For how long after its start a change of the HSM type can be taken back (control-plane §2.4). */
export const ROLLBACK_HOURS = 24

export const CLUSTER_MODES = ['FIPS', 'NON_FIPS'] as const
export type ClusterMode = (typeof CLUSTER_MODES)[number]

export const NETWORK_TYPES = ['IPV4', 'DUALSTACK'] as const
export type NetworkType = (typeof NETWORK_TYPES)[number]

/** TCP ports of every HSM. AWS's clients use 2223-2225; ours give each port one kind of caller. */
export const HSM_PORTS = { client: 2223, peer: 2224, management: 2225 } as const
