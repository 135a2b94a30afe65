/** Clusters, and when anything of them changed. */
import { sql } from 'drizzle-orm'
import { check, index, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core'
import type { HsmTypeMigration } from '../../provider-schema/hsm-type-migration.ts'
import type { AccountId, BackupId, ClusterId, SecurityGroupId, SubnetId, VpcId } from '../../provider-schema/ids.ts'
import type { ClusterMode, HsmType, NetworkType } from '../../provider-schema/limits.ts'
import { CLUSTER_STATES, TRANSITIONAL_STATES, type ClusterState } from '../../provider-schema/states.ts'
import { idText, instant, progress, stateIn, transactionId } from './columns.ts'

export const clusters = pgTable(
  'clusters',
  {
    id: idText('id').$type<ClusterId>().primaryKey(),
    account: text('account').$type<AccountId>().notNull(),
    hsmType: text('hsm_type').$type<HsmType>().notNull(),
    mode: text('mode').$type<ClusterMode>().notNull(),
    networkType: text('network_type').$type<NetworkType>().notNull(),
    state: text('state').$type<ClusterState>().notNull(),
    stateMessage: text('state_message'),
    ...progress,
    /** Availability zone → subnet. */
    subnetMapping: jsonb('subnet_mapping').$type<Record<string, SubnetId>>().notNull(),
    vpcId: text('vpc_id').$type<VpcId>().notNull(),
    securityGroup: text('security_group').$type<SecurityGroupId>().notNull(),
    retentionDays: integer('retention_days').notNull(),
    sourceBackupId: text('source_backup_id').$type<BackupId>(),
    clusterCsr: text('cluster_csr'),
    hsmCertificate: text('hsm_certificate'),
    awsHardwareCertificate: text('aws_hardware_certificate'),
    manufacturerHardwareCertificate: text('manufacturer_hardware_certificate'),
    clusterCertificate: text('cluster_certificate'),
    trustAnchor: text('trust_anchor'),
    tags: jsonb('tags').$type<Record<string, string>>().notNull().default({}),
    /** Number of the newest signed list of members; rises whenever an HSM joins or leaves. */
    membershipEpoch: integer('membership_epoch').notNull().default(0),
    /** Until when the change of the HSM type can be taken back; null when there is none. */
    hsmTypeRollbackExpiration: instant('hsm_type_rollback_expiration'),
    /** The last change of the HSM type, as long as it can be taken back, and how far it is. */
    migration: jsonb('migration').$type<HsmTypeMigration>(),
    createdAt: instant('created_at').notNull(),
    deletedAt: instant('deleted_at'),
  },
  (table) => [
    check('clusters_state', stateIn('state', CLUSTER_STATES)),
    index('clusters_by_account').on(table.account, table.id),
    // Rows of clusters that are gone stay: neither a page nor a quota has to pass over them.
    index('clusters_present')
      .on(table.account, table.id)
      .where(sql`${table.state} <> 'DELETED'`),
    index('clusters_in_transition').on(table.state).where(stateIn('state', TRANSITIONAL_STATES.cluster)),
  ],
)

/**
 * The transactions that changed a cluster or an HSM: a row for each, written by triggers in the same transaction. Tells
 * whether anything did since a moment, however much else was written (state/cluster-changes.ts).
 */
export const clusterChanges = pgTable('cluster_changes', {
  transaction: transactionId('transaction').primaryKey(),
  at: instant('at').notNull().defaultNow(),
})
