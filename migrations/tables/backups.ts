/** Backups, and their copies to other regions. */
import { sql } from 'drizzle-orm'
import { bigint, boolean, check, index, jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import type { AccountId, BackupId, ClusterId, CopyId } from '../../provider-schema/ids.ts'
import type { ClusterMode, HsmType } from '../../provider-schema/limits.ts'
import {
  BACKUP_STATES,
  COPY_STATES,
  TRANSITIONAL_STATES,
  type BackupState,
  type CopyState,
} from '../../provider-schema/states.ts'
import { idText, instant, progress, stateIn } from './columns.ts'

export const backups = pgTable(
  'backups',
  {
    id: idText('id').$type<BackupId>().primaryKey(),
    account: text('account').$type<AccountId>().notNull(),
    /** Of a copy: the cluster of the source. It need not exist in this region, nor any more. */
    clusterId: idText('cluster_id').$type<ClusterId>().notNull(),
    hsmType: text('hsm_type').$type<HsmType>().notNull(),
    mode: text('mode').$type<ClusterMode>().notNull(),
    state: text('state').$type<BackupState>().notNull(),
    ...progress,
    neverExpires: boolean('never_expires').notNull().default(false),
    createdAt: instant('created_at').notNull(),
    copiedAt: instant('copied_at'),
    /** When it will be, or was, gone for good: set in PENDING_DELETION, and kept in DELETED. */
    deleteAt: instant('delete_at'),
    sourceRegion: text('source_region'),
    sourceBackup: text('source_backup').$type<BackupId>(),
    sourceCluster: text('source_cluster').$type<ClusterId>(),
    /** The source's name for the copy that made this row: announcing it twice makes one row. */
    copyId: text('copy_id').$type<CopyId>(),
    /** Bytes, and BLAKE3 of them in hexadecimal; known from READY on (of a copy: from the start). */
    size: bigint('size', { mode: 'number' }),
    digest: text('digest'),
    /** Of the cluster it was taken of: a cluster made from this backup shows them from its first answer on. */
    clusterCertificate: text('cluster_certificate'),
    trustAnchor: text('trust_anchor'),
    tags: jsonb('tags').$type<Record<string, string>>().notNull().default({}),
    /** The document that shares it, as it was put; null: it is not shared. */
    resourcePolicy: text('resource_policy'),
    /** Accounts that the document lets see it, so that they find it; whether it holds is asked of the document. */
    sharedWith: text('shared_with').array().$type<AccountId[]>().notNull().default([]),
  },
  (table) => [
    check('backups_state', stateIn('state', BACKUP_STATES)),
    index('backups_by_account').on(table.account, table.createdAt, table.id),
    index('backups_by_cluster').on(table.clusterId, table.createdAt),
    uniqueIndex('backups_copy_id').on(table.copyId),
    index('backups_shared')
      .using('gin', table.sharedWith)
      .where(sql`${table.resourcePolicy} is not null`),
    index('backups_in_transition').on(table.state).where(stateIn('state', TRANSITIONAL_STATES.backup)),
    index('backups_to_remove')
      .on(table.deleteAt)
      .where(sql`${table.deleteAt} is not null and ${table.size} is not null`),
  ],
)

/** Copies to other regions that this region sends. */
export const copies = pgTable(
  'copies',
  {
    id: idText('id').$type<CopyId>().primaryKey(),
    account: text('account').$type<AccountId>().notNull(),
    backupId: idText('backup_id')
      .$type<BackupId>()
      .notNull()
      .references(() => backups.id),
    destinationRegion: text('destination_region').notNull(),
    tags: jsonb('tags').$type<Record<string, string>>().notNull(),
    state: text('state').$type<CopyState>().notNull(),
    stateMessage: text('state_message'),
    ...progress,
    destinationBackup: text('destination_backup').$type<BackupId>(),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [
    check('copies_state', stateIn('state', COPY_STATES)),
    index('copies_in_transition').on(table.state).where(stateIn('state', TRANSITIONAL_STATES.copy)),
  ],
)
