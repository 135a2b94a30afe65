/** A process that owns a PostgreSQL server, for tests that kill it: `owner.ts DIR` prints the server's process id. */
import { pino } from 'pino'
import { startPostgres } from '../postgres.ts'

const dir = process.argv[2]
if (dir === undefined) throw new Error('owner.ts DIR')
const postgres = await startPostgres({ dir, log: pino({ level: 'silent' }) })
process.stdout.write(`${postgres.pid() ?? 0}\n`)
setInterval(() => undefined, 60_000)
