/** Makes databases on a server, ours or one of the operator's. */
import { Client, escapeIdentifier } from 'pg'
import { Trouble, codeOf, textOf } from '../trouble.ts'

const DUPLICATE_DATABASE = '42P04'
const INVALID_CATALOG_NAME = '3D000'
/** What two who make the same database at the same moment may meet instead. */
const UNIQUE_VIOLATION = '23505'

/** Makes the database that a connection URL names, if there is none. Connects to `postgres` on the same server to do so. */
export async function ensureDatabase(databaseUrl: string): Promise<void> {
  if (await canConnect(databaseUrl)) return
  const name = decodeURIComponent(new URL(databaseUrl).pathname.slice(1))
  const client = maintenanceClient(databaseUrl)
  try {
    await client.connect()
    await client.query(`create database ${escapeIdentifier(name)} template template0 encoding 'UTF8'`)
  } catch (error) {
    if ([DUPLICATE_DATABASE, UNIQUE_VIOLATION].includes(codeOf(error) ?? '')) return
    throw new Trouble(`Database ${name} cannot be made on ${new URL(databaseUrl).host}: ${textOf(error)}`, {
      mend: 'Make it yourself, owned by the user of the URL.',
      cause: error,
    })
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Looks whether a database is there, or its user could make it. Throws what the server, or the way to it, refuses. */
export async function databaseState(databaseUrl: string): Promise<'there' | 'can be made' | 'missing'> {
  if (await canConnect(databaseUrl)) return 'there'
  const client = maintenanceClient(databaseUrl)
  try {
    await client.connect()
    const { rows } = await client.query<{ may: boolean }>(
      'select rolcreatedb or rolsuper as may from pg_roles where rolname = current_user',
    )
    return rows[0]?.may === true ? 'can be made' : 'missing'
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** To the database `postgres` of the same server. */
function maintenanceClient(databaseUrl: string): Client {
  const url = new URL(databaseUrl)
  url.pathname = '/postgres'
  return new Client({ connectionString: url.href, connectionTimeoutMillis: 10_000 })
}

/** False when the server says that there is no such database; anything else that is wrong is thrown. */
async function canConnect(databaseUrl: string): Promise<boolean> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 })
  try {
    await client.connect()
    return true
  } catch (error) {
    if (codeOf(error) === INVALID_CATALOG_NAME) return false
    throw error
  } finally {
    await client.end().catch(() => undefined)
  }
}
