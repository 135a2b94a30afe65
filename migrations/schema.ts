/**
 * The tables of one region. Numbered SQL files beside this one are generated from it (`npm run migration`) and never
 * edited afterwards; `migrate.ts` applies them.
 *
 * No column holds a key, a password or a PIN. Certificates and certificate requests are public.
 */
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgPolicy,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import type {
  AccountId,
  BackupId,
  ClusterId,
  CopyId,
  EniId,
  HsmId,
  SecurityGroupId,
  SubnetId,
  VpcId,
} from '../provider-schema/ids.ts'
import type { HsmTypeMigration } from '../provider-schema/hsm-type-migration.ts'
import type { Directory } from '../provider-schema/identity.ts'
import type { OrderedHsm } from '../provider-schema/host-order.ts'
import type { ClusterMode, HsmType, NetworkType } from '../provider-schema/limits.ts'
import {
  BACKUP_STATES,
  CLUSTER_STATES,
  COPY_STATES,
  HSM_STATES,
  TRANSITIONAL_STATES,
} from '../provider-schema/states.ts'
import type { BackupState, ClusterState, CopyState, HsmState } from '../provider-schema/states.ts'

/** Milliseconds are all the API shows; more would make a timestamp that was read unequal to the one that was stored. */
const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' })

/** Byte-wise order, so that keyset pages do not depend on the server's locale. */
const idText = customType<{ data: string }>({ dataType: () => 'text collate "C"' })

/**
 * A host that connects as a database role of its own name sees and changes its own rows only. Who owns the tables, as the
 * region does, is not bound by it.
 */
const ofHost = (column: string) => {
  const isOwn = sql.raw(`"${column}" = current_user`)
  return { for: 'all', to: 'public', using: isOwn, withCheck: isOwn } as const
}

/** JSON that is kept as it was written; checked by Postgres. */
const jsonAsText = customType<{ data: string }>({ dataType: () => 'json' })

/** Which transaction, as `pg_current_xact_id` has it. */
const transactionId = customType<{ data: string }>({ dataType: () => 'xid8' })

const stateIn = (column: string, states: readonly string[]) =>
  sql.raw(`${column} in (${states.map((state) => `'${state}'`).join(', ')})`)

/**
 * Progress of the transition that a row is in: the step to run next (null: the first), how long it waits before it goes
 * on, and until when it may take. All null when the row rests.
 */
const progress = {
  step: text('step'),
  /** Real time before which nothing is done: the pace that the operator asked for. Null: not decided yet. */
  notBefore: instant('not_before'),
  deadline: instant('deadline'),
  /** What went wrong in the last attempt of the step, for the log and for StateMessage at the deadline. */
  stepError: text('step_error'),
}

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

/**
 * Accounts, users, roles, their access keys and policies: one document in one row, the same in every region. It is small,
 * is read and replaced as a whole, and secrets in it are sealed with a key that is not in any database.
 */
export const identity = pgTable(
  'identity',
  {
    id: integer('id').primaryKey().default(1),
    /** Rises with every change; of two regions that differ, the higher one is right. */
    revision: bigint('revision', { mode: 'number' }).notNull(),
    /** Random, of the change: two regions with the same stamp hold the same. */
    stamp: text('stamp').notNull(),
    directory: jsonb('directory').$type<Directory>().notNull(),
    changedAt: instant('changed_at').notNull(),
  },
  (table) => [check('identity_one_row', sql`${table.id} = 1`)],
)

/** Where a subnet lies: configured, or assigned when it was first named, and kept. */
export const subnets = pgTable(
  'subnets',
  {
    id: text('id').$type<SubnetId>().primaryKey(),
    account: text('account').$type<AccountId>().notNull(),
    availabilityZone: text('availability_zone').notNull(),
    vpcId: text('vpc_id').$type<VpcId>().notNull(),
    /** IPv4 prefix, where it is known. */
    cidr: text('cidr'),
  },
  (table) => [index('subnets_by_account').on(table.account, table.id)],
)

/**
 * The transactions that changed a cluster or an HSM: a row for each, written by triggers in the same transaction. Tells
 * whether anything did since a moment, however much else was written (state/cluster-changes.ts).
 */
export const clusterChanges = pgTable('cluster_changes', {
  transaction: transactionId('transaction').primaryKey(),
  at: instant('at').notNull().defaultNow(),
})

/** By how much the service clock of the region is ahead of real time: one row, or none while it is not. */
export const serviceClock = pgTable(
  'service_clock',
  {
    id: integer('id').primaryKey().default(1),
    /** Milliseconds. */
    ahead: bigint('ahead', { mode: 'number' }).notNull(),
  },
  (table) => [
    check('service_clock_once', sql`${table.id} = 1`),
    check('service_clock_forward', sql`${table.ahead} >= 0`),
  ],
)

/** Machines that run HSM processes. */
export const hosts = pgTable(
  'hosts',
  {
    id: text('id').primaryKey(),
    /** Availability zones it serves; a machine that plays a whole region serves all of them. */
    zones: jsonb('zones').$type<string[]>().notNull(),
    /** HSMs it may run. */
    capacity: integer('capacity').notNull(),
    /** Some of the addresses that it could bind when it last looked; null when it says nothing of them. */
    addresses: jsonb('addresses').$type<string[]>(),
    heartbeatAt: instant('heartbeat_at').notNull(),
  },
  () => [pgPolicy('hosts_own', ofHost('id'))],
)

/**
 * What hosts are to do, and how far they are: the queue of each host, apart from the one of the jobs. The region writes
 * what it wants, and the device certificates; the host what it found. A row stays until the HSM is gone from the host.
 */
export const hostOrders = pgTable(
  'host_orders',
  {
    hostId: text('host_id').notNull(),
    hsmId: idText('hsm_id').$type<HsmId>().notNull(),
    wanted: text('wanted').$type<'running' | 'gone' | 'aside'>().notNull(),
    /** What the host must know to start it. Null of one that is only to be removed. */
    config: jsonb('config').$type<OrderedHsm>(),
    /** Certificates for the device key, PEM: by the manufacturer CA, and by the provider CA; each with the CA's. */
    deviceChain: text('device_chain'),
    providerChain: text('provider_chain'),
    /** From here on what the host says. The request for those certificates, PEM. */
    deviceRequest: text('device_request'),
    /** Whether the process serves its ports. */
    listens: boolean('listens').notNull().default(false),
    condition: text('condition').$type<'running' | 'lost' | 'zeroised'>(),
    why: text('why'),
    /** What kept the host from doing it in its last attempt. */
    trouble: text('trouble'),
    /** Of one that is to go: nothing of it is there any more. */
    done: boolean('done').notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.hostId, table.hsmId] }),
    check('host_orders_wanted', sql`${table.wanted} in ('running', 'gone', 'aside')`),
    pgPolicy('host_orders_own', ofHost('host_id')),
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

/** Job worker processes that are alive, and the ids under which graphile-worker locks jobs for them. */
export const jobWorkers = pgTable('job_workers', {
  id: text('id').primaryKey(),
  workerIds: jsonb('worker_ids').$type<string[]>().notNull(),
  heartbeatAt: instant('heartbeat_at').notNull(),
})

/** Who asked what of which resource, and how it ended. Append-only. */
export const audit = pgTable(
  'audit',
  {
    seq: bigint('seq', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: instant('at').notNull(),
    requestId: text('request_id').notNull(),
    account: text('account').$type<AccountId>().notNull(),
    principal: text('principal').notNull(),
    operation: text('operation').notNull(),
    /** Id of what it was about, the most important first; all of them in `resources`. */
    resource: text('resource'),
    resources: text('resources').array().notNull().default([]),
    sourceIp: text('source_ip'),
    /** Of a refusal or failure. */
    errorCode: text('error_code'),
    /** The event in CloudTrail's shape, as JSON text: kept and given back, never looked into. */
    event: jsonAsText('event').notNull().default('{}'),
  },
  (table) => [
    index('audit_by_resource')
      .using('gin', table.resources)
      .where(sql`cardinality(resources) > 0`),
    // Rows come in the order of time: a few pages of index for millions of them.
    index('audit_by_time').using('brin', table.at),
  ],
)
