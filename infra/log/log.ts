/** The log of one process: JSON lines in a file; what is wrong also on the terminal, for people. */
import { multistream, pino, type Logger } from 'pino'
import { z } from 'zod'
import { rotatingFile } from './rotating-file.ts'

export interface LogOptions {
  /** Who speaks: `strongroom`, or the region. */
  readonly name: string
  readonly file: string
  /** Whether warnings and errors go to standard error too. */
  readonly terminal: boolean
}

/** Names under which a secret might come by mistake. */
const REDACTED = ['password', 'secret', 'pin', 'databaseUrl', 'connectionString', '*.password', '*.secret']

export function createLog({ name, file, terminal }: LogOptions): Logger {
  if (terminal) outliveTheTerminal()
  const streams = [
    { level: 'info', stream: rotatingFile(file) },
    ...(terminal ? [{ level: 'warn', stream: { write: (line: string) => say(line) } }] : []),
  ] as const
  const destination = multistream(
    streams.map(({ level, stream }) => ({ level, stream })),
    { dedupe: false },
  )
  return pino({ name, level: 'info', base: { pid: process.pid }, redact: REDACTED }, destination)
}

let outlives = false

/**
 * A terminal that is gone, a pipe that nobody reads any more, a full disk behind a redirection: what cannot be said is
 * lost, as in the log file. Node ends a process whose standard output or error has an error that nobody listens for.
 */
function outliveTheTerminal(): void {
  if (outlives) return
  outlives = true
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
}

/** One line of the log as a person would say it. */
function say(line: string): void {
  process.stderr.write(`${spoken(line)}\n`)
}

const lineOfLog = z.looseObject({
  level: z.number(),
  time: z.number(),
  name: z.string(),
  msg: z.string().default(''),
  err: z.object({ message: z.string() }).optional().catch(undefined),
})

/** A JSON line for the terminal; anything else as it is. */
export function spoken(line: string): string {
  const parsed = lineOfLog.safeParse(parseJson(line))
  if (!parsed.success) return line.trimEnd()
  const { level, time, name, msg, err, ...rest } = parsed.data
  const kind = level >= 50 ? 'error' : level >= 40 ? 'warn ' : 'info '
  const details = Object.entries(rest)
    .filter(([key]) => key !== 'pid')
    .map(([key, value]) => ` ${key}=${shown(value)}`)
  const cause = err === undefined ? '' : `: ${err.message}`
  return `${new Date(time).toISOString().slice(11, 19)} ${kind} ${name}: ${msg}${cause}${details.join('')}`
}

const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
