/** Where an audit log stands when its HSM starts: read from its last file. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readLine } from '../../../audit-log/chain.ts'
import { auditFilesIn } from '../../../audit-log/files.ts'
import { AUDIT_BEGINNING, auditFileName } from '../../../provider-schema/audit-file.ts'

export interface Standing {
  /** Of the last file; 0 when there is none. */
  readonly file: number
  /** Bytes of the last file that are whole lines, each following the one before. */
  readonly length: number
  /** Of the next event. */
  readonly sequence: number
  /** Of the last line. */
  readonly hash: string
  /** Of an incomplete last line, which a crash in the middle of a write leaves. */
  readonly torn: number
  /** What no crash does; the log goes on in a new file, which says so. */
  readonly damage: string | undefined
}

/** What the sealed store knows of the log from the HSM's latest start. */
export interface Mark {
  readonly reboots: number
  readonly sequence: number
}

/** Reads the last file. `mark` tells how far the log was at least. */
export async function standingOf(directory: string, mark: Mark): Promise<Standing> {
  const files = await auditFilesIn(directory)
  let file = files.pop()
  let text = await textOf(directory, file)
  // A crash right after a new file was made leaves it empty: the log ends in the one before.
  while (file !== undefined && !text.includes('\n')) {
    file = files.pop()
    text = await textOf(directory, file)
  }
  if (file === undefined) {
    const damage = mark.sequence > 0 ? `its files are gone: ${mark.sequence} events were in them` : undefined
    return { file: 0, length: 0, sequence: mark.sequence, hash: AUDIT_BEGINNING, torn: 0, damage }
  }
  const read = readFileLines(auditFileName(file), text)
  if (read.damage === undefined && read.sequence < mark.sequence) {
    const damage = `${mark.sequence - read.sequence} events at its end are gone`
    return { ...read, file, sequence: mark.sequence, damage }
  }
  // A number is never given twice, whatever was done to the file.
  return { ...read, file, sequence: Math.max(read.sequence, mark.sequence) }
}

function readFileLines(name: string, text: string): Omit<Standing, 'file'> {
  const lines = text.split('\n')
  const rest = lines.pop() ?? ''
  let hash: string | undefined
  let sequence = 0
  let length = 0
  let damage: string | undefined
  for (const [i, each] of lines.entries()) {
    const read = readLine(each)
    // The first line says itself what it follows; the file before it may be gone.
    const follows = read && read.follows(hash ?? (read.line.kind === 'file' ? read.line.previous : ''))
    if (!read || !follows) {
      damage ??= `line ${i + 1} of ${name} was altered, or does not follow from the line before it`
      if (!read) continue
    }
    if (read.line.kind === 'file') sequence = Math.max(sequence, read.line.sequence)
    if (read.line.kind === 'event') sequence = Math.max(sequence, read.line.sequence + 1)
    if (damage !== undefined) continue
    hash = read.line.hash
    length += Buffer.byteLength(each) + 1
  }
  return {
    length,
    sequence,
    hash: hash ?? AUDIT_BEGINNING,
    torn: damage === undefined ? Buffer.byteLength(rest) : 0,
    damage,
  }
}

async function textOf(directory: string, file: number | undefined): Promise<string> {
  return file === undefined ? '' : readFile(join(directory, auditFileName(file)), 'utf8')
}
