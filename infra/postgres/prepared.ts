/**
 * A data area that is made when Strongroom is installed, and copied whenever a new one is needed: initdb takes two to
 * five times as long as the copy. Each copy is given a password of its own; that of the prepared area is known to nobody.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { syncTree } from '../files/durable.ts'
import { exists } from '../files/exists.ts'
import { findBinaries, type Binaries } from './binaries.ts'
import { cleanEnvironment, INITDB_FLAGS, runInitdb, SUPERUSER, type Programs } from './initdb.ts'
import { unprivileged } from './unprivileged.ts'

/** Where an installation keeps it. */
export const PREPARED = fileURLToPath(new URL('../../node_modules/.cache/strongroom-postgres', import.meta.url))

const SET_PASSWORD_MS = 30_000

/**
 * Makes the prepared area if it is not there, and takes away those that were made for other versions. Does nothing where
 * it would not be used.
 */
export async function prepare(dir = PREPARED): Promise<void> {
  const binaries = await findBinaries()
  const area = join(dir, nameFor(binaries))
  const programs = { binaries, runAs: await unprivileged(area, binaries.postgres) }
  if (!isCopiedHere(programs) || (await exists(area))) return
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  const making = join(dir, `making-${process.pid}`)
  try {
    await runInitdb(making, randomBytes(24).toString('base64url'), programs)
    await rename(making, area)
  } finally {
    await rm(making, { recursive: true, force: true })
  }
}

/**
 * Makes a data area from the prepared one. All of it is on disk when this resolves.
 * @returns false where that cannot be done, for whatever reason: initdb can, or says why not.
 */
export async function copyPrepared(area: string, password: string, need: Programs, dir = PREPARED): Promise<boolean> {
  if (!isCopiedHere(need)) return false
  const prepared = join(dir, nameFor(need.binaries))
  if (!(await exists(prepared))) return false
  try {
    // A program of its own: it is a thousand files, and this process has its code to load meanwhile.
    await promisify(execFile)('cp', ['-R', prepared, area])
    await setPassword(area, password, need)
    await syncTree(area)
    return true
  } catch {
    await rm(area, { recursive: true, force: true })
    return false
  }
}

/** See `runInitdb` on who syncs what: where PostgreSQL does it, a copy gains nothing. */
const isCopiedHere = ({ runAs }: Programs) => process.platform === 'linux' && !runAs.user

/** PostgreSQL's files suit one version of it, and one way of making them. */
function nameFor({ version }: Binaries): string {
  const how = createHash('sha256').update(JSON.stringify(INITDB_FLAGS)).digest('hex').slice(0, 8)
  return `${version}-${how}`
}

/** With PostgreSQL's single-user mode, which asks for none. It ends with 0 even where it could not do what it was told. */
async function setPassword(area: string, password: string, { binaries, runAs }: Programs): Promise<void> {
  const settings = ['log_min_messages=error', 'log_min_error_statement=panic', 'fsync=off']
  const [program, ...args] = [
    ...runAs.prefix,
    binaries.postgres,
    '--single',
    ...['-D', area],
    ...settings.flatMap((setting) => ['-c', setting]),
    'postgres',
  ]
  const running = promisify(execFile)(program, args, { env: cleanEnvironment(), timeout: SET_PASSWORD_MS })
  running.child.stdin?.on('error', () => undefined).end(`alter role ${SUPERUSER} password '${password}'\n`)
  const { stderr } = await running
  if (/\b(?:ERROR|FATAL|PANIC):/.test(stderr)) throw new Error('the password could not be set')
}
