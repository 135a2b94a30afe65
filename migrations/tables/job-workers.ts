import { jsonb, pgTable, text } from 'drizzle-orm/pg-core'
import { instant } from './columns.ts'

/** Job worker processes that are alive, and the ids under which graphile-worker locks jobs for them. */
export const jobWorkers = pgTable('job_workers', {
  id: text('id').primaryKey(),
  workerIds: jsonb('worker_ids').$type<string[]>().notNull(),
  heartbeatAt: instant('heartbeat_at').notNull(),
})
