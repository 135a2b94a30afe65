/**
 * The one function that changes a resource's state: by compare-and-set, along the legal transitions only.
 *
 * Entering a state clears the progress of the transition before; entering a transitional one sets the deadline.
 */
import { and, eq, inArray, sql, type SQL } from 'drizzle-orm'
import { backups, clusters, copies, hsms } from '../migrations/schema.ts'
import {
  BACKUP_TRANSITIONS,
  CLUSTER_TRANSITIONS,
  COPY_TRANSITIONS,
  HSM_TRANSITIONS,
  TRANSITIONAL_STATES,
  type BackupState,
  type ClusterState,
  type CopyState,
  type HsmState,
} from '../provider-schema/states.ts'
import type { Sql } from './database.ts'

const KINDS = {
  cluster: { table: clusters, transitions: CLUSTER_TRANSITIONS, hasMessage: true },
  hsm: { table: hsms, transitions: HSM_TRANSITIONS, hasMessage: true },
  backup: { table: backups, transitions: BACKUP_TRANSITIONS, hasMessage: false },
  copy: { table: copies, transitions: COPY_TRANSITIONS, hasMessage: true },
} as const

export type Kind = keyof typeof KINDS

export interface StateOf {
  cluster: ClusterState
  hsm: HsmState
  backup: BackupState
  copy: CopyState
}
export interface RowOf {
  cluster: typeof clusters.$inferSelect
  hsm: typeof hsms.$inferSelect
  backup: typeof backups.$inferSelect
  copy: typeof copies.$inferSelect
}
/** Columns that may be set together with the state. */
export type Extra<K extends Kind> = Partial<
  Omit<RowOf[K], 'id' | 'state' | 'step' | 'notBefore' | 'deadline' | 'stepError' | 'stateMessage'>
>

/**
 * Seconds a transition may take before its row shows why it does not. Generous, since each step has shorter time-outs;
 * a copy waits longest, because the other region may be down for a while.
 */
export const TRANSITION_SECONDS = { cluster: 300, hsm: 300, backup: 300, copy: 3600 } as const satisfies Record<
  Kind,
  number
>

export interface Change<K extends Kind> {
  readonly from: StateOf[K]
  readonly to: StateOf[K]
  /** StateMessage; cleared when not given. At most 300 characters are kept (shape StateMessage). */
  readonly message?: string
  readonly set?: Extra<K>
}

/**
 * Moves a resource from one state to another. Gives the changed row, or undefined when it was not in `from` any more:
 * somebody else was faster, and the caller's picture is old. Throws when the transition is not a legal one.
 */
export async function changeState<K extends Kind>(
  db: Sql,
  kind: K,
  id: RowOf[K]['id'],
  change: Change<K>,
): Promise<RowOf[K] | undefined> {
  const { table, transitions, hasMessage } = KINDS[kind]
  const legal = (transitions as Record<string, readonly string[]>)[change.from] ?? []
  if (!legal.includes(change.to)) throw new Error(`a ${kind} may not go from ${change.from} to ${change.to}`)
  const columns = table as typeof clusters
  const rows = await db
    .update(columns)
    .set({
      ...(change.set as Partial<RowOf['cluster']> | undefined),
      ...(hasMessage ? { stateMessage: change.message?.slice(0, 300) ?? null } : {}),
      state: change.to as ClusterState,
      step: null,
      notBefore: null,
      stepError: null,
      deadline: deadlineOf(kind, change.to),
    })
    .where(and(eq(columns.id, id as RowOf['cluster']['id']), eq(columns.state, change.from as ClusterState)))
    .returning()
  return rows[0] as RowOf[K] | undefined
}

/** Until when a resource that enters this state may stay in it; null for a state of rest. */
export function deadlineOf<K extends Kind>(kind: K, state: StateOf[K]): SQL<Date> | null {
  const transitional: readonly string[] = TRANSITIONAL_STATES[kind]
  return transitional.includes(state) ? sql<Date>`now() + make_interval(secs => ${TRANSITION_SECONDS[kind]})` : null
}

/**
 * Records which step comes next. False when the row has meanwhile left the state or the step: another worker took over.
 */
export async function recordStep<K extends Kind>(
  db: Sql,
  kind: K,
  id: RowOf[K]['id'],
  at: { state: StateOf[K]; step: string | null },
  next: { step: string | null; error?: string | null },
): Promise<boolean> {
  const columns = KINDS[kind].table as typeof clusters
  const result = await db
    .update(columns)
    .set({ step: next.step, stepError: next.error?.slice(0, 300) ?? null })
    .where(
      and(
        eq(columns.id, id as RowOf['cluster']['id']),
        eq(columns.state, at.state as ClusterState),
        sql`${columns.step} is not distinct from ${at.step}`,
      ),
    )
  return (result.rowCount ?? 0) > 0
}

/**
 * Has a transition wait before the step it stands at; its time, so many seconds, begins only then. Gives until when, in
 * real time: what stands in the row, also when another worker decided first; undefined when the row has left the state or the step.
 */
export async function rest<K extends Kind>(
  db: Sql,
  kind: K,
  id: RowOf[K]['id'],
  at: { state: StateOf[K]; step: string | null },
  ms: number,
  seconds: number = TRANSITION_SECONDS[kind],
): Promise<Date | undefined> {
  const columns = KINDS[kind].table as typeof clusters
  const until = sql<Date>`now() + make_interval(secs => ${ms / 1000})`
  const rows = await db
    .update(columns)
    .set({
      notBefore: sql<Date>`coalesce(${columns.notBefore}, ${until})`,
      deadline: sql<Date>`case when ${columns.notBefore} is null
        then ${until} + make_interval(secs => ${seconds}) else ${columns.deadline} end`,
    })
    .where(
      and(
        eq(columns.id, id as RowOf['cluster']['id']),
        eq(columns.state, at.state as ClusterState),
        sql`${columns.step} is not distinct from ${at.step}`,
      ),
    )
    .returning({ notBefore: columns.notBefore })
  return rows[0]?.notBefore ?? undefined
}

/** The row as it is now. */
export async function findRow<K extends Kind>(db: Sql, kind: K, id: RowOf[K]['id']): Promise<RowOf[K] | undefined> {
  const columns = KINDS[kind].table as typeof clusters
  const rows = await db
    .select()
    .from(columns)
    .where(eq(columns.id, id as RowOf['cluster']['id']))
  return rows[0] as RowOf[K] | undefined
}

/** Everything that is in a transitional state. */
export async function rowsInTransition<K extends Kind>(db: Sql, kind: K): Promise<RowOf[K][]> {
  const columns = KINDS[kind].table as typeof clusters
  const states: readonly string[] = TRANSITIONAL_STATES[kind]
  const rows = await db
    .select()
    .from(columns)
    .where(inArray(sql<string>`${columns.state}`, [...states]))
  return rows as RowOf[K][]
}
