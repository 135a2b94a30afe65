/** Accounts: what must happen one after another within one. */
import { sql } from 'drizzle-orm'
import type { AccountId } from '../provider-schema/ids.ts'
import type { Sql } from './database.ts'

export const accountsIn = (db: Sql) => ({
  /**
   * Until the transaction ends nobody else holds this account: what a quota counts cannot grow meanwhile. Taken before
   * any row is locked, so that two transactions never wait for each other. `room_for_cluster` (migrations/sql) takes the
   * same one.
   */
  lock: async (account: AccountId): Promise<void> => {
    await db.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`account ${account}`}, 0))`)
  },
})
