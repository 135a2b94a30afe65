/**
 * What one embedded server keeps in its directory:
 *
 *   data/       PostgreSQL's own; appears whole, by a rename
 *   password    of the superuser, 0600
 *   port        the port it had last
 */
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { syncDirectory, writeDurably } from '../files/durable.ts'
import { exists } from '../files/exists.ts'
import { codeOf } from '../trouble.ts'
import { findBinaries } from './binaries.ts'
import { passwordFileOf, runInitdb, type Programs } from './initdb.ts'
import { copyPrepared } from './prepared.ts'
import { HERE, unprivileged } from './unprivileged.ts'

export interface DataDirectory extends Programs {
  readonly data: string
  readonly password: string
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

async function passwordOf(dir: string): Promise<string> {
  const file = join(dir, 'password')
  const stored = await readFile(file, 'utf8').catch(() => '')
  if (stored !== '') return stored
  const password = randomBytes(24).toString('base64url')
  await writeDurably(file, password)
  return password
}

/** Makes a data area beside the final place: what a crash leaves half made is made anew. */
async function initialise(place: DataDirectory & { readonly dir: string }): Promise<void> {
  const making = join(place.dir, 'making')
  for (const left of [making, passwordFileOf(making)]) await rm(left, { recursive: true, force: true })
  if (!(await copyPrepared(making, place.password, place))) await runInitdb(making, place.password, place)
  await rename(making, place.data)
  await syncDirectory(place.dir)
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
