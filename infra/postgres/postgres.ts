/** The embedded PostgreSQL: a real server from npm in a directory of ours, kept alive. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { choosePort, openDataDirectory, type DataDirectory } from './data-directory.ts'
import { ensureDatabase } from './ensure-database.ts'
import { adoptServer, startServer, stopServer, urlOf, type Server } from './server.ts'

export interface Postgres {
  /** On 127.0.0.1; stays the same as long as this object lives. */
  readonly port: number
  /** The address of one of its databases, password included. */
  url(database: string): string
  /** Makes a database if there is none of that name. */
  ensureDatabase(name: string): Promise<void>
  /** Undefined while it is being restarted. */
  pid(): number | undefined
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>
}

export interface PostgresOptions {
  /** Where it lives; made when missing. One process at a time may serve it. */
  readonly dir: string
  readonly log: Logger
  /** What the server says; default `postgres.log` in its directory. */
  readonly logFile?: string
  /** More settings, or other ones (postgresql.conf). */
  readonly settings?: Readonly<Record<string, string>>
}

const RESTART_MS = { first: 50, longest: 5_000 } as const

/**
 * Starts the server of a directory, or takes over one that runs there, and restarts it whenever it ends. Throws a
 * Trouble when it cannot be started at all.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const place = await openDataDirectory(options.dir)
  const stopping = new AbortController()
  let server: Server | undefined = await firstServer(place, options)
  const { port } = server

  const kept = (async () => {
    while (server) {
      const how = await server.ended
      server = undefined
      if (isAborted(stopping.signal)) return
      options.log.warn(`PostgreSQL ${how}; it is started again`)
      server = await startAgain(place, port, options, stopping.signal)
      // A stop that came while it started found nothing to stop.
      if (server && isAborted(stopping.signal)) await stopServer(server)
    }
  })()

  return {
    port,
    url: (database) => urlOf(place, port, database),
    ensureDatabase: (name) => ensureDatabase(urlOf(place, port, name)),
    pid: () => server?.pid,
    stop: async () => {
      stopping.abort()
      if (server) await stopServer(server)
      await kept
    },
  }
}

/** Asked anew after every wait, which the compiler does not see. */
const isAborted = (signal: AbortSignal) => signal.aborted

const logFileOf = (options: PostgresOptions) => options.logFile ?? join(options.dir, 'postgres.log')

async function firstServer(place: DataDirectory, options: PostgresOptions): Promise<Server> {
  const found = await adoptServer(place)
  if (found) {
    options.log.info({ pid: found.pid, port: found.port }, 'took over the PostgreSQL that was running')
    return found
  }
  return startServer(place, await choosePort(options.dir), logFileOf(options), options.settings)
}

/** Tries until it runs: what was left of the old one (its backends hold its memory) goes within moments. */
async function startAgain(
  place: DataDirectory,
  port: number,
  options: PostgresOptions,
  signal: AbortSignal,
): Promise<Server | undefined> {
  let pause: number = RESTART_MS.first
  while (await passed(pause, signal)) {
    try {
      const server = await startServer(place, port, logFileOf(options), options.settings)
      options.log.info({ pid: server.pid, port }, 'PostgreSQL runs again')
      return server
    } catch (error) {
      options.log.error({ err: error }, 'PostgreSQL could not be started again')
    }
    pause = Math.min(pause * 2, RESTART_MS.longest)
  }
  return undefined
}

/** True when the time has passed, false when the signal came before. */
const passed = (ms: number, signal: AbortSignal) => sleep(ms, true, { signal }).catch(() => false)
