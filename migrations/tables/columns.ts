/** Kinds of columns that several tables have. */
import { sql } from 'drizzle-orm'
import { customType, text, timestamp } from 'drizzle-orm/pg-core'

/** Milliseconds are all the API shows; more would make a timestamp that was read unequal to the one that was stored. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' })

/** Byte-wise order, so that keyset pages do not depend on the server's locale. */
export const idText = customType<{ data: string }>({ dataType: () => 'text collate "C"' })

/** JSON that is kept as it was written; checked by Postgres. */
export const jsonAsText = customType<{ data: string }>({ dataType: () => 'json' })

/** Which transaction, as `pg_current_xact_id` has it. */
export const transactionId = customType<{ data: string }>({ dataType: () => 'xid8' })

/** The condition that a column holds one of these states. */
export const stateIn = (column: string, states: readonly string[]) =>
  sql.raw(`${column} in (${states.map((state) => `'${state}'`).join(', ')})`)

/**
 * Progress of the transition that a row is in: the step to run next (null: the first), how long it waits before it goes
 * on, and until when it may take. All null when the row rests.
 */
export const progress = {
  step: text('step'),
  /** Real time before which nothing is done: the pace that the operator asked for. Null: not decided yet. */
  notBefore: instant('not_before'),
  deadline: instant('deadline'),
  /** What went wrong in the last attempt of the step, for the log and for StateMessage at the deadline. */
  stepError: text('step_error'),
}
