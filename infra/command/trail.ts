/** `strongroom trail`: the audit trail of a region's API, as a table, as JSON lines, or into a file. */
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { trailRows, type TrailQuery, type TrailRow } from '../../state/audit.ts'
import { openDatabase, type Database } from '../../state/database.ts'
import { loadConfiguration } from '../configuration/load.ts'
import { codeOf, Trouble } from '../trouble.ts'
import type { TrailFlags } from './flags.ts'
import { regionDatabaseUrl } from './region-database.ts'
import { table } from './table.ts'

const SHOWN = 50
const LOOK_MS = 500
const PAGE = 1_000

export async function trail(flags: TrailFlags): Promise<void> {
  const query = queryOf(flags)
  const configuration = await loadConfiguration({ data: flags.data, config: flags.config })
  const region = flags.region ?? configuration.regions[0] ?? ''
  const database = openDatabase({ url: await regionDatabaseUrl(configuration, region), connections: 1 })
  try {
    if (flags.export === undefined) await show(database, query, flags)
    else await exportTo(flags.export, database, query, limitOf(flags))
  } finally {
    await database.close()
  }
}

type Criteria = Pick<TrailQuery, 'since' | 'operation' | 'resource'>

function queryOf({ since, eventName, resource }: TrailFlags): Criteria {
  return {
    ...(since !== undefined && { since: timeOf(since) }),
    ...(eventName !== undefined && { operation: eventName }),
    ...(resource !== undefined && { resource }),
  }
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `12h` ago, or a date. */
export function timeOf(text: string, now = Date.now()): Date {
  const [, number, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const at = number === undefined ? Date.parse(text) : now - Number(number) * (UNITS[unit] ?? 0)
  if (Number.isNaN(at)) throw new Trouble(`--since ${text} is neither like 12h nor a date.`)
  return new Date(at)
}

function limitOf({ limit }: TrailFlags): number | undefined {
  if (limit === undefined) return undefined
  const number = Number(limit)
  if (!Number.isInteger(number) || number < 1 || number > 1_000_000)
    throw new Trouble(`--limit ${limit} is not a number.`)
  return number
}

async function show(database: Database, criteria: Criteria, flags: TrailFlags): Promise<void> {
  const limit = limitOf(flags) ?? SHOWN
  const newest = await trailRows(database.sql, { ...criteria, first: 'newest', limit })
  print(newest.toReversed(), flags, true)
  if (flags.follow === true) await follow(database, criteria, newest, flags)
}

/** Rows get their number before they are committed: one with a lower number may appear after one with a higher. */
const LATECOMERS = 1_000

async function follow(
  database: Database,
  criteria: Criteria,
  known: readonly TrailRow[],
  flags: TrailFlags,
): Promise<void> {
  let last = known[0]?.seq ?? (await trailRows(database.sql, { first: 'newest', limit: 1 }))[0]?.seq ?? 0
  const first = last
  let seen = new Set(known.map((row) => row.seq))
  const signalled = new Promise<true>((resolve) => process.once('SIGINT', () => resolve(true)))
  while (!(await Promise.race([signalled, sleep(LOOK_MS, false)]))) {
    const after = Math.max(first, last - LATECOMERS)
    const rows = await trailRows(database.sql, { ...criteria, after, first: 'oldest', limit: 2 * LATECOMERS })
    const news = rows.filter((row) => !seen.has(row.seq))
    print(news, flags, false)
    seen = new Set(rows.map((row) => row.seq))
    last = rows.at(-1)?.seq ?? last
  }
}

/** Oldest first; with a limit, the newest of them. The file is whole on disk when this resolves. */
async function exportTo(path: string, database: Database, criteria: Criteria, limit?: number): Promise<void> {
  const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
    if (codeOf(error) === 'EEXIST') throw new Trouble(`${path} exists already.`, { mend: 'Choose another name.' })
    throw new Trouble(`${path} cannot be written: ${String(codeOf(error))}.`, { cause: error })
  })
  let written = 0
  try {
    const newest = limit === undefined ? [] : await trailRows(database.sql, { ...criteria, first: 'newest', limit })
    let after = limit === undefined ? 0 : (newest.at(-1)?.seq ?? 1) - 1
    for (;;) {
      const rows = await trailRows(database.sql, { ...criteria, after, first: 'oldest', limit: PAGE })
      await file.write(rows.map((row) => `${row.event}\n`).join(''))
      written += rows.length
      after = rows.at(-1)?.seq ?? after
      if (rows.length < PAGE) break
    }
    await file.sync()
  } finally {
    await file.close()
  }
  process.stdout.write(`${written} events in ${path}\n`)
}

const shown = z.object({
  eventTime: z.string().catch('–'),
  eventName: z.string().catch('–'),
  errorCode: z.string().catch('ok'),
  userIdentity: z.object({ arn: z.string().catch('–') }).catch({ arn: '–' }),
  sourceIPAddress: z.string().catch('–'),
  resources: z.array(z.object({ ARN: z.string() })).catch([]),
  requestID: z.string().catch('–'),
})

const HEAD = ['TIME', 'EVENT', 'OUTCOME', 'WHO', 'FROM', 'RESOURCES', 'REQUEST']

function print(rows: readonly TrailRow[], { json }: TrailFlags, isFirst: boolean): void {
  if (json === true) {
    for (const { event } of rows) process.stdout.write(`${event}\n`)
    return
  }
  const cells = rows.map(({ event }) => {
    const { eventTime, eventName, errorCode, userIdentity, sourceIPAddress, resources, requestID } = shown.parse(
      JSON.parse(event),
    )
    const ids = resources.map(({ ARN }) => ARN.slice(ARN.lastIndexOf('/') + 1)).join(' ')
    return [eventTime, eventName, errorCode, userIdentity.arn, sourceIPAddress, ids, requestID].map(printable)
  })
  const text = table(HEAD, cells)
  process.stdout.write(isFirst ? text : text.slice(text.indexOf('\n') + 1))
}

/** What callers sent may hold control characters: they are for no terminal. */
const printable = (text: string) => text.replace(/[\p{Cc}\p{Cf}]/gu, '?')
