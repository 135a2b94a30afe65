import { test } from 'node:test'
import { Client } from 'pg'
import { freshDatabase, testServer } from '../test/support/database.ts'
import { migrateDatabase } from './migrate.ts'

test('a server that closes its connections when the migrations are done ends nobody', async () => {
  const fresh = await freshDatabase()
  const admin = new Client({ connectionString: await testServer() })
  await admin.connect()
  const closed = async () => {
    const text = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1'
    return (await admin.query(text, [new URL(fresh.url).pathname.slice(1)])).rowCount ?? 0
  }
  try {
    for (let round = 0; round < 10; round += 1) {
      await migrateDatabase(fresh.url)
      // An error that nobody listens for would fail this test.
      while ((await closed()) > 0);
    }
  } finally {
    await admin.end()
    await fresh.drop()
  }
})
