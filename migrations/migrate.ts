/** Brings a region's database to the shape of this version. */
import { fileURLToPath } from 'node:url'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { runMigrations } from 'graphile-worker'
import { Client } from 'pg'
import { openPool } from './pool.ts'

const SQL_FOLDER = fileURLToPath(new URL('./sql', import.meta.url))

/** Any number; all processes that migrate take the same one, so that they do it one after another. */
const MIGRATION_LOCK = 4_570_001

/** Applies what is missing of our tables and the job queue's. Several processes may call it at once. */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  // Whoever waits for an answer hears of a connection that breaks; Node ends a process that nobody tells.
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    await migrate(drizzle(client), { migrationsFolder: SQL_FOLDER })
    await migrateQueue(databaseUrl)
  } finally {
    await client.end()
  }
}

/**
 * With a pool of our own: graphile-worker's stops listening for errors before it ends, and does not wait for its end. A
 * server that closes the connection meanwhile would end this process.
 */
async function migrateQueue(databaseUrl: string): Promise<void> {
  const pool = openPool({ connectionString: databaseUrl, max: 2 })
  try {
    await runMigrations({ pgPool: pool })
  } finally {
    await pool.end()
  }
}
