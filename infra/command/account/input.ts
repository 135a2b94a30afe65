/** What comes from files and standard input: secrets never from a flag, which everybody on the machine could see. */
import { readFile, stat } from 'node:fs/promises'
import { Trouble, textOf } from '../../trouble.ts'
import { terminal } from './terminal.ts'

const MOST_BYTES = 64 * 1024

/** The content of a file; `-` is standard input. */
export async function documentFrom(file: string): Promise<string> {
  if (file === '-') return readInput()
  try {
    if ((await stat(file)).size > MOST_BYTES) throw new Error(`it is longer than ${MOST_BYTES} bytes`)
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Trouble(`${file} cannot be read: ${textOf(error)}`, { cause: error })
  }
}

/** One line of standard input, without its end. */
export async function secretFromInput(): Promise<string> {
  return (await readInput()).replace(/\r?\n$/, '')
}

async function readInput(): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of terminal.input()) {
    bytes += piece.length
    if (bytes > MOST_BYTES) throw new Trouble(`Standard input is longer than ${MOST_BYTES} bytes.`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

/** `key=value`, any number of times. Throws a Trouble. */
export function tagsFrom(texts: readonly string[] = []): Record<string, string> {
  const tags: Record<string, string> = {}
  for (const text of texts) {
    const equals = text.indexOf('=')
    if (equals < 1) throw new Trouble(`--tag ${text} is not key=value.`)
    tags[text.slice(0, equals)] = text.slice(equals + 1)
  }
  return tags
}
