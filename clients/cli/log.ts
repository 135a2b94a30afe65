/** The tools' log: JSON lines in a file, so that standard output holds the answer and nothing else. */
import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { LOG_LEVELS, type LogLevel, type LogSettings } from './config.ts'

/** Writes one line. Nobody hands it a secret; it does not look for any. */
export type Log = (level: LogLevel, message: string, details?: Readonly<Record<string, unknown>>) => void

/**
 * Opens nothing until there is something to say. A log that cannot be written is said once, on standard error, and
 * then missed: the command matters more.
 */
export function createLog(settings: LogSettings, defaultFile: string): Log {
  const threshold = LOG_LEVELS.indexOf(settings.log_level)
  const file = settings.log_file ?? defaultFile
  let broken = false
  return (level, message, details) => {
    if (LOG_LEVELS.indexOf(level) > threshold || broken) return
    const now = new Date()
    const line = `${JSON.stringify({ time: now.toISOString(), level, pid: process.pid, message, ...details })}\n`
    if (settings.log_type === 'term') return void process.stderr.write(line)
    const path = file + rotationSuffix(settings.log_interval, now)
    try {
      append(path, line)
    } catch (error) {
      broken = true
      process.stderr.write(`cloudhsm-cli: cannot write the log ${path}: ${String(error)}\n`)
    }
  }
}

function append(path: string, line: string): void {
  mkdirSync(dirname(path), { recursive: true })
  appendFileSync(path, line, { mode: 0o640 })
}

/** AWS appends the date to the name of a rotated log: `….log.2021-06-23` (data-plane §2.5). UTC. */
function rotationSuffix(interval: LogSettings['log_interval'], now: Date): string {
  const iso = now.toISOString()
  if (interval === 'daily') return `.${iso.slice(0, 10)}`
  if (interval === 'hourly') return `.${iso.slice(0, 10)}-${iso.slice(11, 13)}`
  return ''
}
