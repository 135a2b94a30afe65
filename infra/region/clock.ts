/** The service clock as one process of a region sees it: real time, and what the database says it is ahead. */
import type { Logger } from 'pino'
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../../provider-schema/errors.ts'
import type { Database } from '../../state/database.ts'
import { advanceClock, clockAhead } from '../../state/service-clock.ts'

export interface RegionClock {
  /** Throws ServiceUnavailableException before the database has been asked for the first time. */
  readonly now: () => Date
  /** Asks the database. Rejects when it does not answer. */
  readonly look: () => Promise<void>
  /** Moves it ahead for all processes of the region; false when that is too far. */
  readonly advance: (ms: number) => Promise<boolean>
}

/** All processes of a region agree within this, and the time that an answer takes. */
const LOOK_MS = 500

export function regionClock(database: Database): RegionClock {
  let ahead: number | undefined
  return {
    now: () => {
      if (ahead === undefined) throw new ServiceError('ServiceUnavailableException', 'The service is starting.')
      return new Date(Date.now() + ahead)
    },
    look: async () => {
      ahead = await clockAhead(database.sql)
    },
    advance: async (ms) => {
      const moved = await advanceClock(database.sql, ms)
      if (moved !== undefined) ahead = moved
      return moved !== undefined
    },
  }
}

/** Keeps looking until the signal. While the database is away the clock goes on as it went. */
export async function keepClock(clock: RegionClock, log: Logger, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await sleep(LOOK_MS, undefined, { signal })
      await clock
        .look()
        .catch((error: unknown) => log.debug({ err: error }, 'the service clock could not be looked up'))
    }
  } catch {
    // Only the signal ends it.
  }
}
