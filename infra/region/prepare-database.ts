/** Brings a region's database about, however long its server takes to be there. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { migrateDatabase } from '../../migrations/migrate.ts'
import { ensureDatabase } from '../postgres/ensure-database.ts'
import { codeOf, textOf } from '../trouble.ts'

const PAUSE_MS = { first: 100, longest: 2_000 } as const

export interface Preparation {
  readonly log: Logger
  readonly signal: AbortSignal
  /** Hears after each failure what it waits for: for people, and for whoever may ask whether it is ready. */
  readonly onWaiting: (what: string) => void
}

/** Makes the database if it is missing, and applies what is missing in it. Tries until it succeeds or the signal comes. */
export async function prepareDatabase(url: string, { log, signal, onWaiting }: Preparation): Promise<void> {
  let complaint = ''
  let pause: number = PAUSE_MS.first
  for (;;) {
    try {
      await ensureDatabase(url)
      await migrateDatabase(url)
      return
    } catch (error) {
      // Once for each reason: it may go on for hours.
      if (textOf(error) !== complaint) log.warn({ err: error }, 'the database is not there yet; trying again')
      complaint = textOf(error)
      onWaiting(`wait for the database server, which ${whatIsWrong(error)}`)
    }
    await sleep(pause, undefined, { signal })
    pause = Math.min(pause * 2, PAUSE_MS.longest)
  }
}

/** By SQLSTATE (PostgreSQL manual, appendix A) or system error. Names of hosts and users stay in the log. */
const WRONGS: readonly (readonly [RegExp, string])[] = [
  [/^28/, 'refuses the user or the password'],
  [/^42501$/, 'does not let this user make the database or what belongs in it'],
  [/^53300$/, 'has no connection left'],
  [
    /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT|57P03)$/,
    'cannot be reached',
  ],
]

function whatIsWrong(error: unknown): string {
  const code = codeOf(error) ?? (error instanceof Error ? codeOf(error.cause) : undefined) ?? ''
  return WRONGS.find(([codes]) => codes.test(code))?.[1] ?? 'cannot be used; the log of the region says why'
}
