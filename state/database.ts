/** The connection to a region's Postgres, and transactions on it. */
import { drizzle, type NodePgQueryResultHKT } from 'drizzle-orm/node-postgres'
import type { PgDatabase } from 'drizzle-orm/pg-core'
import { Pool } from 'pg'
import * as schema from '../migrations/schema.ts'
import { accountsIn } from './accounts.ts'
import { auditIn } from './audit.ts'
import { backupsIn } from './backups.ts'
import { clustersIn } from './clusters.ts'
import { copiesIn } from './copies.ts'
import { enqueueIn } from './enqueue.ts'
import { hostsIn } from './hosts.ts'
import { hsmsIn } from './hsms.ts'
import { identityIn } from './identity.ts'
import { subnetsIn } from './subnets.ts'

/** A pool or a transaction on it. */
export type Sql = PgDatabase<NodePgQueryResultHKT, typeof schema>

export interface Database {
  /** Typed access without a transaction: each call stands for itself. */
  readonly read: Access
  readonly sql: Sql
  readonly pool: Pool
  /** All or nothing. What the callback throws is thrown on, after everything was taken back. */
  transaction<Result>(work: (tx: Access) => Promise<Result>): Promise<Result>
  close(): Promise<void>
}

/** All that can be asked of the state, in one transaction or outside of any. */
export interface Access {
  readonly accounts: ReturnType<typeof accountsIn>
  readonly clusters: ReturnType<typeof clustersIn>
  readonly hsms: ReturnType<typeof hsmsIn>
  readonly backups: ReturnType<typeof backupsIn>
  readonly copies: ReturnType<typeof copiesIn>
  readonly subnets: ReturnType<typeof subnetsIn>
  readonly hosts: ReturnType<typeof hostsIn>
  readonly identity: ReturnType<typeof identityIn>
  readonly audit: ReturnType<typeof auditIn>
  readonly enqueue: ReturnType<typeof enqueueIn>
}

function accessTo(sql: Sql): Access {
  return {
    accounts: accountsIn(sql),
    clusters: clustersIn(sql),
    hsms: hsmsIn(sql),
    backups: backupsIn(sql),
    copies: copiesIn(sql),
    subnets: subnetsIn(sql),
    hosts: hostsIn(sql),
    identity: identityIn(sql),
    audit: auditIn(sql),
    enqueue: enqueueIn(sql),
  }
}

export interface DatabaseOptions {
  readonly url: string
  /** Connections at most. */
  readonly connections?: number
  /** Told of connections that broke while idle (a restart of Postgres); the pool replaces them. */
  readonly onConnectionError?: (error: Error) => void
}

/** Opens a pool; connects when first used. `close` waits until every connection is returned. */
export function openDatabase({ url, connections = 10, onConnectionError }: DatabaseOptions): Database {
  const pool = new Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: 5_000,
    // A statement that takes longer has met a lock or a dead server; the caller is told rather than kept.
    statement_timeout: 15_000,
    idle_in_transaction_session_timeout: 30_000,
  })
  pool.on('error', (error) => onConnectionError?.(error))
  const sql = drizzle(pool, { schema })
  return {
    read: accessTo(sql),
    sql,
    pool,
    transaction: (work) => sql.transaction((tx) => work(accessTo(tx))),
    close: () => pool.end(),
  }
}
