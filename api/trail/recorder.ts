/**
 * Writes the trail of reads and refusals, after their answers and many at once: refusals as soon as the database takes
 * them, reads within half a second, which is what a process that is killed may lose of them. What changed something is not
 * written here but with its rows, in their transaction.
 *
 * While Postgres is away events wait, as many as fit; what does not fit is counted, logged, and told in the trail itself
 * by an event `TrailGap` as soon as it can be written.
 */
import type { Logger } from 'pino'
import { appendAll, auditRow } from '../../state/audit.ts'
import type { Database } from '../../state/database.ts'
import { databaseErrorOf } from '../aws-json/failures.ts'
import { gapEntry, isReadOnly, trailEntry, type Call } from './event.ts'

export interface TrailPort {
  /** Takes note of a call that was answered; returns at once, never throws. */
  record(call: Call): void
}

export interface Recorder extends TrailPort {
  /** Events that were lost so far. */
  readonly lost: number
  /** Events that wait to be written. */
  readonly waiting: number
  /** Writes what waits, for at most a moment; what cannot be written is counted as lost and logged. */
  stop(): Promise<void>
}

export interface RecorderOptions {
  readonly region: string
  readonly database: Database
  readonly log: Logger
  /** Whether reads that were answered are recorded; refusals always are. */
  readonly reads: boolean
  /** Of the events that may wait. */
  readonly mostWaiting?: number
  /** Milliseconds that reads are gathered for. */
  readonly pauseMs?: number
}

const PAUSE_MS = 500
const RETRY_MS = 2_000
/** Written as soon as they are there: 250 take 10 ms of Postgres, that others wait for. */
const AT_ONCE = 250
const MOST_WAITING = 10_000
const MOST_BYTES = 16 * 1024 * 1024
const STOP_MS = 3_000

export function openRecorder(options: RecorderOptions): Recorder {
  const { database, log, region, reads, mostWaiting = MOST_WAITING, pauseMs = PAUSE_MS } = options
  let waiting: Buffer[] = []
  let bytes = 0
  let lost = 0
  /** Those that no event of the trail tells of yet. */
  let untold: { lost: number; from: Date } | undefined
  let timer: NodeJS.Timeout | undefined
  /** Whether a refusal waits: it is written at once, with all that waits. */
  let isPressing = false
  let timerIsUrgent = false
  let writing: Promise<unknown> | undefined
  let isFailing = false
  let isStopped = false

  const lose = (count: number) => {
    lost += count
    untold ??= { lost: 0, from: new Date() }
    untold.lost += count
  }

  /** What the database does not take of a batch must not keep the rest from being written for ever. */
  const appendOneByOne = async (batch: readonly Buffer[]): Promise<void> => {
    for (const row of batch) {
      await appendAll(database.pool, [row]).catch((error: unknown) => {
        if (!isOfData(error)) throw error
        lose(1)
        log.error({ err: error, requestId: requestIdOf(row) }, 'the database does not take an event of the trail')
      })
    }
  }

  /** False when the database did not take them. */
  const write = async (): Promise<boolean> => {
    const batch = waiting.slice(0, AT_ONCE)
    const told = untold && { ...untold }
    const rows = told ? [auditRow(gapEntry({ ...told, to: new Date(), region })), ...batch] : batch
    try {
      await appendAll(database.pool, rows).catch((error: unknown) => {
        if (!isOfData(error)) throw error
        return appendOneByOne(rows)
      })
    } catch (error) {
      if (!isFailing) log.warn({ err: error, waiting: waiting.length }, 'the trail cannot be written; its events wait')
      isFailing = true
      return false
    }
    waiting = waiting.slice(batch.length)
    isPressing &&= waiting.length > 0
    bytes = waiting.reduce((sum, row) => sum + row.length, 0)
    if (untold && told) untold = untold.lost > told.lost ? { ...untold, lost: untold.lost - told.lost } : undefined
    if (told) log.error({ lost: told.lost, since: told.from }, 'the trail lost events while it could not be written')
    if (isFailing) log.info('the trail can be written again')
    isFailing = false
    return true
  }

  const schedule = (): void => {
    if (isStopped || writing || (waiting.length === 0 && !untold)) return
    const isUrgent = (isPressing || waiting.length >= AT_ONCE) && !isFailing
    if (timer && (timerIsUrgent || !isUrgent)) return
    clearTimeout(timer)
    timerIsUrgent = isUrgent
    timer = setTimeout(
      () => {
        timer = undefined
        writing = write().finally(() => {
          writing = undefined
          schedule()
        })
      },
      isFailing ? RETRY_MS : isUrgent ? 0 : pauseMs,
    )
    timer.unref()
  }

  const rowOf = (call: Call): Buffer | undefined => {
    try {
      return auditRow(trailEntry(call))
    } catch (error) {
      lose(1)
      log.error({ err: error, requestId: call.caller.requestId }, 'a call could not be recorded')
      return undefined
    }
  }

  return {
    record: (call) => {
      if (!reads && !call.error && isReadOnly(call.operation)) return
      const row = rowOf(call)
      if (!row) return
      if (isStopped || waiting.length >= mostWaiting || bytes + row.length > MOST_BYTES) {
        lose(1)
      } else {
        waiting.push(row)
        bytes += row.length
      }
      isPressing ||= call.error !== undefined
      schedule()
    },
    get lost() {
      return lost
    },
    get waiting() {
      return waiting.length
    },
    stop: async () => {
      isStopped = true
      clearTimeout(timer)
      const end = performance.now() + STOP_MS
      const written = (async () => {
        await writing
        while ((waiting.length > 0 || untold) && performance.now() < end) if (!(await write())) break
      })()
      await Promise.race([written, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())])
      if (waiting.length > 0) log.error({ lost: waiting.length }, 'the trail could not be written to its end')
      lost += waiting.length
    },
  }
}

/** SQLSTATE classes of rows that no repetition helps: data exception, integrity constraint violation. */
const isOfData = (error: unknown) => /^(22|23)/.test(databaseErrorOf(error)?.code ?? '')

const requestIdOf = (row: Buffer) => (JSON.parse(row.toString()) as { readonly requestId: string }).requestId
