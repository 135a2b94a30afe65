/** One run of a PostgreSQL server: started by us, or found running and taken over. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { isAlive } from '../processes/identity.ts'
import { codeOf, Trouble, textOf } from '../trouble.ts'
import type { DataDirectory } from './data-directory.ts'
import { cleanEnvironment, SUPERUSER } from './initdb.ts'
import { isPostmaster, readLockFile } from './lock-file.ts'

export interface Server {
  readonly pid: number
  readonly port: number
  /** Resolves when the process is gone, however it went; says how where that is known. */
  readonly ended: Promise<string>
}

/** Recovery after a crash may take its time; a server that does nothing for so long is given up. */
const READY_MS = 60_000
const LOOK_MS = 10
const FOUND_LOOK_MS = 200
const LOG_BYTES = 5 * 1024 * 1024

/** Sensible for a control plane on one machine; durability is PostgreSQL's default: everything is synced. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '64MB',
  timezone: 'UTC',
  jit: 'off',
  log_line_prefix: '%m [%p] %d ',
  // Shapes, not values: what a statement was given does not belong into a log.
  log_parameter_max_length_on_error: '0',
}

/** Starts a server and waits until it accepts connections. */
export async function startServer(
  place: DataDirectory,
  port: number,
  logFile: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const options = Object.entries({ ...SETTINGS, ...settings, port: String(port) })
  const [program = '', ...args] = [
    ...place.runAs.prefix,
    place.binaries.postgres,
    '-D',
    place.data,
    ...options.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  await rotate(logFile)
  const log = await open(logFile, 'a', 0o600)
  const began = (await log.stat()).size
  try {
    // In a session of its own: Ctrl-C on the terminal is for us, and a server whose starter was killed lives on.
    const child = spawn(program, args, {
      ...place.runAs.user,
      cwd: '/',
      env: cleanEnvironment(),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    child.unref()
    const ended = Promise.race([
      once(child, 'exit').then(([code, signal]: unknown[]) => `ended with ${String(signal ?? code)}`),
      once(child, 'error').then(([error]: unknown[]) => textOf(error)),
    ]).catch(textOf)
    const { pid } = child
    if (pid === undefined) throw new Trouble(`PostgreSQL could not be started: ${await ended}`)
    if (!(await untilReady(place.data, pid, ended))) {
      const said = (await readFile(logFile)).subarray(began).toString().trim().split('\n').slice(-10).join('\n')
      throw new Trouble(`PostgreSQL did not start:\n${said}`, { mend: `More in ${logFile}.` })
    }
    return { pid, port, ended }
  } finally {
    await log.close()
  }
}

/** A server that an earlier process of ours left running, if it serves this directory and takes our password. */
export async function adoptServer(place: DataDirectory): Promise<Server | undefined> {
  const lock = await readLockFile(place.data)
  if (!lock) return undefined
  if (!(await isPostmaster(lock.pid, place.data))) {
    // PostgreSQL sees to a stale file itself, but not when its number belongs to another process of the same user by now,
    // nor when it belongs to its own dead one that nobody waited for yet: in a container perhaps nobody ever does.
    await untilReaped(lock.pid)
    if (isKnown(lock.pid)) await rm(join(place.data, 'postmaster.pid'), { force: true })
    return undefined
  }
  const ended = untilGone(lock.pid, place.data)
  const isReady = await untilReady(place.data, lock.pid, ended)
  if (isReady) await requireAnswer(urlOf(place, lock.port, 'postgres'), lock.pid)
  return isReady ? { pid: lock.pid, port: lock.port, ended } : undefined
}

/**
 * Waits while a dead process is still in the process table, for three seconds at most. By then its own processes, which
 * end when they notice its death, are gone as well.
 */
async function untilReaped(pid: number): Promise<void> {
  const end = performance.now() + 3_000
  while (isKnown(pid) && !(await isAlive(pid)) && performance.now() < end) await sleep(50)
}

/** Whether the process table has this id, dead or alive. */
function isKnown(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/** Ends a server: asks it to drop its clients and write everything; insists when it does not. */
export async function stopServer(server: Server): Promise<void> {
  const gone = server.ended.then(() => true)
  for (const [signal, ms] of [
    ['SIGINT', 10_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    try {
      process.kill(server.pid, signal)
    } catch {
      return
    }
    const patience = new AbortController()
    const inTime = await Promise.race([gone, sleep(ms, false, { signal: patience.signal })])
    patience.abort()
    if (inTime) return
  }
}

export const urlOf = (place: DataDirectory, port: number, database: string) =>
  `postgres://${SUPERUSER}:${place.password}@127.0.0.1:${port}/${database}`

/** False when it ended, or was not ready in time; then it is ended. */
async function untilReady(data: string, pid: number, ended: Promise<string>): Promise<boolean> {
  let isGone = false
  void ended.then(() => (isGone = true))
  const end = performance.now() + READY_MS
  while (performance.now() < end) {
    const lock = await readLockFile(data)
    if (lock?.pid === pid && lock.ready) return true
    await sleep(LOOK_MS)
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- set while we slept
    if (isGone) return false
  }
  await stopServer({ pid, port: 0, ended })
  return false
}

async function requireAnswer(url: string, pid: number): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  try {
    await client.connect()
  } catch (error) {
    throw new Trouble(
      `A PostgreSQL server (pid ${pid}) has this data directory, but does not let us in: ${textOf(error)}`,
      {
        mend: `If it is not needed elsewhere: kill -INT ${pid}`,
        cause: error,
      },
    )
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function untilGone(pid: number, data: string): Promise<string> {
  while (await isPostmaster(pid, data)) await sleep(FOUND_LOOK_MS, undefined, { ref: false })
  return 'is gone'
}

async function rotate(logFile: string): Promise<void> {
  const size = await stat(logFile).then(
    (found) => found.size,
    () => 0,
  )
  if (size > LOG_BYTES) await rename(logFile, `${logFile}.1`)
}
