/** Brings a region's database about, however long its server takes to be there. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { migrateDatabase } from '../../migrations/migrate.ts'
import { ensureDatabase } from '../postgres/ensure-database.ts'
import { textOf } from '../trouble.ts'

const PAUSE_MS = { first: 100, longest: 2_000 } as const

/** Makes the database if it is missing, and applies what is missing in it. Tries until it succeeds or the signal comes. */
export async function prepareDatabase(url: string, log: Logger, signal: AbortSignal): Promise<void> {
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
    }
    await sleep(pause, undefined, { signal })
    pause = Math.min(pause * 2, PAUSE_MS.longest)
  }
}
