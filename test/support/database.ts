/**
 * A database for a test file, on a real PostgreSQL: the server of STRONGROOM_TEST_DATABASE_URL; else the one that
 * test/run.ts started for the whole run; else one of its own, which ends with the process.
 */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { migrateDatabase } from '../../migrations/migrate.ts'

/** Where test/run.ts tells the URL of its server. */
export const TEST_POSTGRES = 'STRONGROOM_TEST_POSTGRES_URL'

const KEEPER = fileURLToPath(new URL('./postgres-keeper.ts', import.meta.url))
const MIGRATIONS = fileURLToPath(new URL('../../migrations/sql/', import.meta.url))
/** Any number: who makes the template holds this lock. */
const TEMPLATE_LOCK = 4_570_002

export interface FreshDatabase {
  readonly url: string
  /** Removes it, whoever is still connected. */
  drop(): Promise<void>
}

/** A migrated, empty database of its own. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const template = await migratedTemplate()
  const name = `test_${randomBytes(6).toString('hex')}`
  await administer((admin) => admin.query(`create database ${name} template ${template}`))
  return {
    url: await databaseUrl(name),
    drop: async () => {
      await administer((admin) => admin.query(`drop database if exists ${name} with (force)`))
    },
  }
}

let ownServer: Promise<string> | undefined

/** The URL of the `postgres` database of the server to use. */
export function testServer(): Promise<string> {
  const given = process.env['STRONGROOM_TEST_DATABASE_URL'] ?? process.env[TEST_POSTGRES]
  return given === undefined ? (ownServer ??= keepPostgres()) : Promise.resolve(given)
}

/**
 * Starts a server that ends when this process does; gives its URL. For tests it syncs nothing to disk; a durable one is as
 * it is in production.
 */
export async function keepPostgres({ durable = false } = {}): Promise<string> {
  const keeper = spawn(process.execPath, [KEEPER, ...(durable ? ['durable'] : [])], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(keeper, 'exit').then(() => {
    throw new Error('PostgreSQL for the tests did not start; see above')
  })
  const [url] = (await Promise.race([once(createInterface(keeper.stdout), 'line'), ended])) as [string]
  ended.catch(() => undefined)
  // It must not keep this process from ending; its standard input ends when we do.
  keeper.unref()
  for (const pipe of [keeper.stdin, keeper.stdout]) if (pipe instanceof Socket) pipe.unref()
  return url
}

let template: Promise<string> | undefined

/** A database that the migrations made; one for each state of theirs, whoever comes first. */
function migratedTemplate(): Promise<string> {
  return (template ??= (async () => {
    const hash = createHash('sha256')
    for (const file of (await readdir(MIGRATIONS)).toSorted()) {
      if (file.endsWith('.sql')) hash.update(await readFile(`${MIGRATIONS}${file}`))
    }
    const name = `template_${hash.digest('hex').slice(0, 16)}`
    await administer(async (admin) => {
      await admin.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
      const { rowCount } = await admin.query('select from pg_database where datname = $1', [name])
      if (rowCount) return
      await admin.query(`drop database if exists ${name}_making with (force)`)
      await admin.query(`create database ${name}_making`)
      await migrateDatabase(await databaseUrl(`${name}_making`))
      await admin.query(`alter database ${name}_making rename to ${name}`)
    })
    return name
  })())
}

async function databaseUrl(name: string): Promise<string> {
  const url = new URL(await testServer())
  url.pathname = `/${name}`
  return url.href
}

async function administer<Result>(work: (admin: Client) => Promise<Result>): Promise<Result> {
  const admin = new Client({ connectionString: await testServer() })
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}
