/**
 * What one embedded server keeps in its directory:
 *
 *   data/       PostgreSQL's own; appears whole, by a rename
 *   password    of the superuser, 0600
 *   port        the port it had last
 */
import { execFile } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { syncDirectory, syncTree, writeDurably } from '../files/durable.ts'
import { Trouble, codeOf, textOf } from '../trouble.ts'
import { findBinaries, type Binaries } from './binaries.ts'
import { giveTo, HERE, unprivileged, type Unprivileged } from './unprivileged.ts'

export const SUPERUSER = 'strongroom'

export interface DataDirectory {
  readonly data: string
  readonly password: string
  readonly binaries: Binaries
  readonly runAs: Unprivileged
}

/** Opens a server's directory; makes it, with a fresh server in it, if there is none. */
export async function openDataDirectory(dir: string, here = HERE): Promise<DataDirectory> {
  const binaries = await findBinaries()
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const data = join(dir, 'data')
  const runAs = await unprivileged(data, binaries.postgres, here)
  // Its user must pass to `data`; `password` has its own mode.
  await chmod(dir, runAs.user ? 0o711 : 0o700)
  const password = await passwordOf(dir)
  if (!(await exists(data))) await initialise({ dir, data, password, binaries, runAs })
  return { data, password, binaries, runAs }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

async function passwordOf(dir: string): Promise<string> {
  const file = join(dir, 'password')
  const stored = await readFile(file, 'utf8').catch(() => '')
  if (stored !== '') return stored
  const password = randomBytes(24).toString('base64url')
  await writeDurably(file, password)
  return password
}

/** Runs initdb beside the final place: what a crash leaves half made is made anew. */
async function initialise(place: DataDirectory & { readonly dir: string }): Promise<void> {
  const making = join(place.dir, 'making')
  const passwordFile = join(place.dir, 'initial-password')
  await rm(making, { recursive: true, force: true })
  await mkdir(making, { mode: 0o700 })
  await writeFile(passwordFile, place.password, { mode: 0o600 })
  if (place.runAs.user) {
    await giveTo(place.runAs.user, making)
    await giveTo(place.runAs.user, passwordFile)
  }
  // initdb syncs its thousand files one after another: 0.7 to 1.8 s on a busy disk, 0.3 s when several are synced at once.
  // But on macOS Node's sync has the disk itself empty its cache each time, and another user's files may not be ours to open.
  const weSync = process.platform === 'linux' && !place.runAs.user
  try {
    const [program = '', ...args] = [
      ...place.runAs.prefix,
      place.binaries.initdb,
      `--pgdata=${making}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--no-instructions',
      ...(weSync ? ['--no-sync'] : []),
    ]
    await promisify(execFile)(program, args, { ...place.runAs.user, env: cleanEnvironment() })
    if (weSync) await syncTree(making)
  } catch (error) {
    const said = typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr).trim() : ''
    throw new Trouble(`initdb failed: ${said || textOf(error)}`, {
      mend: 'Mend what it says, or use a server of your own: set STRONGROOM_DATABASE_URL.',
      cause: error,
    })
  } finally {
    await rm(passwordFile, { force: true })
  }
  await rename(making, place.data)
  await syncDirectory(place.dir)
}

/** PostgreSQL reads PG* variables; none of the caller's may change what it does. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }
}

/** The recorded port if nobody has it, else another one, recorded. */
export async function choosePort(dir: string): Promise<number> {
  const file = join(dir, 'port')
  const recorded = Number(await readFile(file, 'utf8').catch(() => ''))
  if (recorded > 0 && recorded < 65536 && (await isFree(recorded))) return recorded
  for (;;) {
    // Below the range that systems take the ports of outgoing connections from: a client that tries again and again
    // to reach a server that is down could otherwise be given that very port, and reach itself.
    const port = randomInt(15_000, 32_000)
    if (!(await isFree(port))) continue
    await writeDurably(file, String(port))
    return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'EACCES') return false
    throw error
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}
