/** Brings a region's database to the shape of this version. */
import { fileURLToPath } from 'node:url'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { runMigrations } from 'graphile-worker'
import { Client } from 'pg'

const SQL_FOLDER = fileURLToPath(new URL('./sql', import.meta.url))

/** Any number; all processes that migrate take the same one, so that they do it one after another. */
const MIGRATION_LOCK = 4_570_001

/** Applies what is missing of our tables and the job queue's. Several processes may call it at once. */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    await migrate(drizzle(client), { migrationsFolder: SQL_FOLDER })
    await runMigrations({ connectionString: databaseUrl })
  } finally {
    await client.end()
  }
}
