/** HSMs, and how each was when it was last asked. */
import { sql } from 'drizzle-orm'
import { boolean, check, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import type { AccountId, BackupId, ClusterId, EniId, HsmId, SubnetId } from '../../provider-schema/ids.ts'
import type { HsmType } from '../../provider-schema/limits.ts'
import { HSM_STATES, TRANSITIONAL_STATES, type HsmState } from '../../provider-schema/states.ts'
import { clusters } from './clusters.ts'
import { idText, instant, progress, stateIn } from './columns.ts'

export const hsms = pgTable(
  'hsms',
  {
    id: idText('id').$type<HsmId>().primaryKey(),
    clusterId: idText('cluster_id')
      .$type<ClusterId>()
      .notNull()
      .references(() => clusters.id),
    account: text('account').$type<AccountId>().notNull(),
    hsmType: text('hsm_type').$type<HsmType>().notNull(),
    availabilityZone: text('availability_zone').notNull(),
    subnetId: text('subnet_id').$type<SubnetId>().notNull(),
    eniId: text('eni_id').$type<EniId>().notNull(),
    /** The address the API shows: the one that was asked for, else the one it listens on. */
    eniIp: text('eni_ip').notNull(),
    /** Of a DUALSTACK cluster: shown, and nothing listens there. */
    eniIpV6: text('eni_ip_v6'),
    /** The address the process binds. */
    listenIp: text('listen_ip').notNull(),
    state: text('state').$type<HsmState>().notNull(),
    stateMessage: text('state_message'),
    ...progress,
    hostId: text('host_id'),
    /** In the signed list of members: set when it has joined, cleared before it is removed. */
    member: boolean('member').notNull().default(false),
    /** The backup that the present transition makes or restores. */
    backupId: text('backup_id').$type<BackupId>(),
    /** The HSM whose place (ENI, address, zone) it takes; null once it has taken it. */
    replaces: text('replaces').$type<HsmId>(),
    createdAt: instant('created_at').notNull(),
    deletedAt: instant('deleted_at'),
  },
  (table) => [
    check('hsms_state', stateIn('state', HSM_STATES)),
    // Rows of HSMs that are gone stay, and nobody looks for them by cluster.
    index('hsms_by_cluster')
      .on(table.clusterId)
      .where(sql`${table.state} <> 'DELETED'`),
    index('hsms_by_account')
      .on(table.account)
      .where(sql`${table.state} <> 'DELETED'`),
    index('hsms_by_host').on(table.hostId),
    uniqueIndex('hsms_listen_ip')
      .on(table.listenIp)
      .where(sql`${table.deletedAt} is null`),
    uniqueIndex('hsms_eni_ip')
      .on(table.eniIp)
      .where(sql`${table.deletedAt} is null`),
    index('hsms_in_transition').on(table.state).where(stateIn('state', TRANSITIONAL_STATES.hsm)),
  ],
)

/** What each HSM last said of itself, for the metrics; told by whichever job worker watches it. */
export const hsmHealth = pgTable('hsm_health', {
  hsmId: idText('hsm_id').$type<HsmId>().primaryKey(),
  /** When it was last asked. */
  askedAt: instant('asked_at').notNull(),
  /** Whether it answered then; if not, the rest is what it said before. */
  answers: boolean('answers').notNull(),
  keys: integer('keys').notNull(),
  sessionKeys: integer('session_keys').notNull(),
  users: integer('users').notNull(),
  sessions: integer('sessions').notNull(),
})
