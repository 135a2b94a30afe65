/** Why the HSM of a directory does not run, from its last words: for StateMessage and the doctor. */
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { HSM_FILES } from '../../provider-schema/hsm-directory.ts'
import { endOf } from '../files/end-of.ts'

/** Of the end of a log. */
const TAIL_BYTES = 64 * 1024
/** pino's number for `fatal`. */
const FATAL = 60
const fatalLine = z.object({ level: z.literal(FATAL), reason: z.string().optional(), msg: z.string() })
/** An HSM that has less can write neither its store nor its log. */
const ROOM_BYTES = 64 * 1024
/** So that it fits into StateMessage (300) with what else stands there. */
const SHORT = 80

/** Undefined when nothing keeps it from running. To be asked of an HSM that has no process. */
export async function troubleOf(directory: string): Promise<string | undefined> {
  const disk = await statfs(directory).catch(() => undefined)
  // What it would have said of that could not be written.
  if (disk && disk.bavail * disk.bsize < ROOM_BYTES) return 'the disk is full'
  return lastTrouble(directory)
}

/** What the last line of its log says, if it is the word of a process that could not run. */
export async function lastTrouble(directory: string): Promise<string | undefined> {
  const text = await endOf(join(directory, HSM_FILES.log), TAIL_BYTES)
  const last = text.trimEnd().split('\n').at(-1) ?? ''
  try {
    const line = fatalLine.parse(JSON.parse(last))
    return line.reason ?? line.msg
  } catch {
    return undefined
  }
}

/** The first sentence, with names of files as they stand in the HSM's directory. */
export function inShort(trouble: string, directory: string): string {
  const sentence = trouble.replaceAll(`${directory}/`, '').split(/\.\s|\n/, 1)[0] ?? ''
  return sentence.length > SHORT ? `${sentence.slice(0, SHORT - 1)}…` : sentence
}
