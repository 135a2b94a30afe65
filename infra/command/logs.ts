/** `strongroom logs`: the logs of all parts in one stream, ordered by time. */
import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HSM_FILES } from '../../provider-schema/hsm-directory.ts'
import { dataDirectory } from '../configuration/load.ts'
import { spoken } from '../log/log.ts'
import { PLACES } from '../places.ts'
import { regionPlaces } from '../region/places.ts'
import { Trouble } from '../trouble.ts'
import type { LogsFlags } from './flags.ts'

interface LogFile {
  readonly name: string
  readonly path: string
}

interface Line {
  /** Epoch milliseconds; 0 when the line does not say. */
  readonly at: number
  readonly name: string
  readonly text: string
}

/** Of the end of a file; enough for the lines that anybody asks for. */
const TAIL_BYTES = 1024 * 1024
const LOOK_MS = 250
const CONSOLE = 'console'

export async function logs(name: string | undefined, flags: LogsFlags): Promise<void> {
  const data = dataDirectory(flags.data)
  const lines = Number(flags.lines)
  if (!Number.isInteger(lines) || lines < 0) throw new Trouble(`--lines ${flags.lines} is not a number of lines.`)
  const all = await logFiles(data)
  // What a launcher in the background printed stands in its log too.
  const files =
    name === undefined ? all.filter((file) => file.name !== CONSOLE) : all.filter((file) => file.name === name)
  if (files.length === 0) {
    const names = all.map((file) => file.name).join(', ')
    throw new Trouble(name === undefined ? `There are no logs in ${data}.` : `There is no log of ${name}.`, {
      ...(names === '' ? {} : { mend: `There are: ${names}` }),
    })
  }
  const tails = await Promise.all(files.map((file) => tail(file, lines)))
  print(
    tails.flatMap((each) => each.lines),
    flags,
  )
  if (flags.follow !== true) return
  const ends = new Map(files.map((file, i) => [file, tails[i]?.end ?? 0]))
  const signalled = new Promise<true>((resolve) => process.once('SIGINT', () => resolve(true)))
  while (!(await Promise.race([signalled, sleep(LOOK_MS, false)]))) {
    const news = await Promise.all(files.map((file) => since(file, ends)))
    print(news.flat(), flags)
  }
}

async function logFiles(data: string): Promise<LogFile[]> {
  const dir = join(data, PLACES.logs)
  const own = (await readdir(dir).catch(() => [])).filter((name) => name.endsWith('.log'))
  const regions = await readdir(join(data, PLACES.regions)).catch(() => [])
  const hsms = await Promise.all(
    regions.map(async (region) => {
      const { hsms: place } = regionPlaces(data, region)
      const ids = (await readdir(place).catch(() => [])).filter((id) => id.startsWith('hsm-'))
      return ids.map((id) => ({ name: id, path: join(place, id, HSM_FILES.log) }))
    }),
  )
  return [...own.map((file) => ({ name: basename(file, '.log'), path: join(dir, file) })), ...hsms.flat()]
}

async function tail(file: LogFile, lines: number): Promise<{ lines: Line[]; end: number }> {
  const size = await sizeOf(file)
  const text = await read(file, Math.max(0, size - TAIL_BYTES), size)
  const found = linesOf(file, text)
  return { lines: lines === 0 ? [] : found.slice(-lines), end: size }
}

/** What was written since the last look; whole lines only. A file that was turned over is read from its beginning. */
async function since(file: LogFile, ends: Map<LogFile, number>): Promise<Line[]> {
  const size = await sizeOf(file)
  const before = ends.get(file) ?? 0
  const begin = size < before ? 0 : before
  const text = await read(file, begin, Math.min(size, begin + TAIL_BYTES))
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  ends.set(file, begin + Buffer.byteLength(whole))
  return linesOf(file, whole)
}

const sizeOf = (file: LogFile) =>
  stat(file.path).then(
    (found) => found.size,
    () => 0,
  )

async function read({ path }: LogFile, begin: number, end: number): Promise<string> {
  if (end <= begin) return ''
  const handle = await open(path, 'r')
  try {
    const buffer = Buffer.alloc(end - begin)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, begin)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** A line that does not say when it was written belongs to the one before it. */
function linesOf({ name }: LogFile, text: string): Line[] {
  let at = 0
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ at: (at = timeOf(line) ?? at), name, text: line }))
}

/** Ours are JSON with epoch milliseconds; PostgreSQL begins its lines with a date. */
function timeOf(line: string): number | undefined {
  const ours = /"time":(\d{13})/.exec(line)?.[1]
  if (ours !== undefined) return Number(ours)
  const theirs = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}\.\d{3}) UTC/.exec(line)
  return theirs ? Date.parse(`${theirs[1] ?? ''}T${theirs[2] ?? ''}Z`) : undefined
}

function print(lines: readonly Line[], { json }: LogsFlags): void {
  for (const { name, text } of lines.toSorted((a, b) => a.at - b.at)) {
    if (json === true) process.stdout.write(`${text}\n`)
    else process.stdout.write(text.startsWith('{') ? `${spoken(text)}\n` : `${name}: ${text}\n`)
  }
}
