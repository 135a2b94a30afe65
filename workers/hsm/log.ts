/**
 * Where an HSM's log goes: standard output, which its host has made a file on the same disk. That the disk is full must
 * stop nobody who uses keys; pino's own destination ends the process then, or waits for room for ever.
 */
import { writeSync } from 'node:fs'

const STANDARD_OUTPUT = 1
/** pino's number. */
const WARN = 40

export interface LogDestination {
  write(line: string): void
}

/** Writes lines at once; those that cannot be written are lost, and the next that can be is preceded by how many. */
export function logDestination(file = () => STANDARD_OUTPUT): LogDestination {
  let lost = 0
  return {
    write(line) {
      try {
        // Behind a line that only partly fitted.
        if (lost > 0)
          writeAll(file(), `\n${JSON.stringify({ level: WARN, time: Date.now(), msg: 'lines were lost', lost })}\n`)
        lost = 0
        writeAll(file(), line)
      } catch {
        lost += 1
      }
    },
  }
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done)
}
