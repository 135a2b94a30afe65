/** Backups: typed access to their rows. */
import { and, arrayContains, asc, desc, eq, inArray, isNotNull, lt, lte, ne, or, sql, type SQL } from 'drizzle-orm'
import { backups } from '../migrations/schema.ts'
import { notFound } from '../provider-schema/errors.ts'
import type { AccountId, BackupId, ClusterId, CopyId } from '../provider-schema/ids.ts'
import { LIMITS, type HsmType } from '../provider-schema/limits.ts'
import type { BackupState } from '../provider-schema/states.ts'
import { changeState, deadlineOf, findRow, TRANSITION_SECONDS, type Change } from './change-state.ts'
import { clusterLivingIn, expiredBackups } from './backup-content.ts'
import type { Sql } from './database.ts'

export type Backup = typeof backups.$inferSelect

export interface BackupQuery {
  readonly account: AccountId
  /** Not the account's own, but those of others that name it among those they share with. */
  readonly shared?: boolean
  readonly ids?: readonly string[]
  readonly sourceBackupIds?: readonly string[]
  readonly clusterIds?: readonly string[]
  readonly states?: readonly BackupState[]
  readonly neverExpires?: boolean
  /** Leave out backups that are gone. */
  readonly exceptDeleted?: boolean
  readonly ascending: boolean
  /** Only what comes after this one in the order asked for: the last of the page before. */
  readonly after?: { readonly createdAt: Date; readonly id: string }
  readonly limit: number
}

const DAY_MS = 24 * 3_600_000

/** A copy that comes in waits for its source, which itself may take an hour. */
const COPY_DEADLINE = sql<Date>`now() + make_interval(secs => ${TRANSITION_SECONDS.copy * 2})`

export const backupsIn = (db: Sql) => ({
  find: (id: BackupId) => findRow(db, 'backup', id),

  /** What a decision about who may use a backup depends on. */
  sharing: async (id: BackupId) => {
    const { account, state, resourcePolicy, tags } = backups
    const [row] = await db
      .select({ id: backups.id, account, state, resourcePolicy, tags })
      .from(backups)
      .where(eq(backups.id, id))
    return row
  },

  findByCopy: async (copyId: CopyId): Promise<Backup | undefined> => {
    const [row] = await db.select().from(backups).where(eq(backups.copyId, copyId))
    return row
  },

  /** Copies from other regions that did not arrive in time. */
  lostCopies: (): Promise<Backup[]> =>
    db
      .select()
      .from(backups)
      .where(and(eq(backups.state, 'CREATE_IN_PROGRESS'), isNotNull(backups.copyId), lt(backups.deadline, sql`now()`))),

  /** Locks a backup. Throws CloudHsmResourceNotFoundException when the account has none of that id, or it is deleted. */
  forUpdate: async (account: AccountId, id: string): Promise<Backup> => {
    const [row] = await db
      .select()
      .from(backups)
      .where(and(eq(backups.id, id as BackupId), eq(backups.account, account)))
      .for('update')
    if (!row || row.state === 'DELETED') throw notFound('Backup', id)
    return row
  },

  insert: async (backup: typeof backups.$inferInsert): Promise<Backup> => {
    const [row] = await db
      .insert(backups)
      .values({ ...backup, deadline: backup.copyId ? COPY_DEADLINE : deadlineOf('backup', backup.state) })
      .returning()
    if (!row) throw new Error('the backup was not inserted')
    return row
  },

  changeState: (id: BackupId, change: Change<'backup'>) => changeState(db, 'backup', id, change),

  /** Columns other than the state. */
  update: async (id: BackupId, set: Partial<Omit<Backup, 'id' | 'state'>>): Promise<void> => {
    await db.update(backups).set(set).where(eq(backups.id, id))
  },

  /**
   * From READY to PENDING_DELETION: gone after seven days. Gives the changed row, or undefined when it was not READY any
   * more. Hold the cluster of the backup, so that not all backups of it go at once.
   */
  beginRemoval: (id: BackupId, now: Date): Promise<Backup | undefined> =>
    changeState(db, 'backup', id, {
      from: 'READY',
      to: 'PENDING_DELETION',
      set: { deleteAt: new Date(now.getTime() + LIMITS.pendingDeletionDays * DAY_MS) },
    }),

  /** From PENDING_DELETION to DELETED, if its seven days are over by this time and nobody has restored it. */
  remove: async (id: BackupId, now: Date): Promise<Backup | undefined> => {
    const [row] = await db
      .select({ id: backups.id })
      .from(backups)
      .where(and(eq(backups.id, id), eq(backups.state, 'PENDING_DELETION'), lte(backups.deleteAt, now)))
      .for('update')
    return row && changeState(db, 'backup', id, { from: 'PENDING_DELETION', to: 'DELETED' })
  },

  /** A cluster that would be lost with this backup: see backup-content.ts. */
  clusterLivingIn: (id: BackupId) => clusterLivingIn(db, id),

  /** Backups whose days are over: see backup-content.ts. */
  expired: (now: Date, of?: ClusterId) => expiredBackups(db, now, of),

  /** Backups that are to be gone by this time, and those that are and whose bytes may still be there. */
  toRemove: (now: Date): Promise<Backup[]> =>
    db
      .select()
      .from(backups)
      .where(
        and(
          isNotNull(backups.size),
          lte(backups.deleteAt, now),
          inArray(backups.state, ['PENDING_DELETION', 'DELETED']),
        ),
      )
      .orderBy(asc(backups.deleteAt), asc(backups.id))
      .limit(1000),

  /**
   * The newest READY backup of a cluster that was made in this region; with a type, of those that an HSM of it can
   * restore: an hsm1.medium takes none of an hsm2m.medium.
   */
  newestReady: async (clusterId: ClusterId, hsmType?: HsmType): Promise<Backup | undefined> => {
    const [row] = await db
      .select()
      .from(backups)
      .where(
        and(
          eq(backups.clusterId, clusterId),
          eq(backups.state, 'READY'),
          sql`${backups.copyId} is null`,
          hsmType === 'hsm1.medium' ? eq(backups.hsmType, hsmType) : undefined,
        ),
      )
      .orderBy(desc(backups.createdAt), desc(backups.id))
      .limit(1)
    return row
  },

  /** One page, newest first unless asked otherwise. */
  page: (query: BackupQuery): Promise<Backup[]> => {
    const direction = query.ascending ? asc : desc
    return db
      .select()
      .from(backups)
      .where(matching(query))
      .orderBy(direction(backups.createdAt), direction(backups.id))
      .limit(query.limit)
  },
})

function matching(query: BackupQuery): SQL | undefined {
  const { after } = query
  const beyond = query.ascending ? sql.raw('>') : sql.raw('<')
  return and(
    query.shared === true
      ? and(
          ne(backups.account, query.account),
          isNotNull(backups.resourcePolicy),
          arrayContains(backups.sharedWith, [query.account]),
        )
      : eq(backups.account, query.account),
    query.ids ? inArray(backups.id, [...query.ids] as BackupId[]) : undefined,
    query.sourceBackupIds ? inArray(backups.sourceBackup, [...query.sourceBackupIds] as BackupId[]) : undefined,
    query.clusterIds
      ? or(
          inArray(backups.clusterId, [...query.clusterIds] as ClusterId[]),
          inArray(backups.sourceCluster, [...query.clusterIds] as ClusterId[]),
        )
      : undefined,
    query.states ? inArray(backups.state, [...query.states]) : undefined,
    query.neverExpires === undefined ? undefined : eq(backups.neverExpires, query.neverExpires),
    query.exceptDeleted ? ne(backups.state, 'DELETED') : undefined,
    after
      ? sql`(${backups.createdAt}, ${backups.id}) ${beyond} (${after.createdAt.toISOString()}::timestamptz, ${after.id})`
      : undefined,
  )
}
