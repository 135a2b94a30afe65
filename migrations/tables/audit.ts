import { sql } from 'drizzle-orm'
import { bigint, index, pgTable, text } from 'drizzle-orm/pg-core'
import type { AccountId } from '../../provider-schema/ids.ts'
import { instant, jsonAsText } from './columns.ts'

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
