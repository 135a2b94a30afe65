/**
 * A PostgreSQL server for tests, with its own process to watch over it: prints its URL, serves until its standard
 * input ends - which it does when whoever started it ends, however that happens - and leaves nothing behind. Nothing is
 * synced to disk, unless it is told to be `durable`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { startPostgres } from '../../infra/postgres/postgres.ts'

const dir = await mkdtemp(join(tmpdir(), 'strongroom-test-postgres-'))
const log = pino({ level: 'warn' }, pino.destination(2))
// A signal to the whole group (Ctrl-C) is for the tests; we end when they have.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
const done = new Promise<void>((resolve) => process.stdin.on('end', resolve).on('error', resolve).resume())
try {
  const settings = process.argv.includes('durable') ? {} : { fsync: 'off', full_page_writes: 'off' }
  const postgres = await startPostgres({ dir, log, settings })
  process.stdout.write(`${postgres.url('postgres')}\n`)
  await done
  await postgres.stop()
} finally {
  await rm(dir, { recursive: true, force: true })
}
