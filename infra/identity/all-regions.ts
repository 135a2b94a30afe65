/**
 * The directory of accounts in all regions of a data directory. Regions share no database, so a change is written to each:
 * in one transaction per region, all of which are held open until the last can be committed. Should one be lost between
 * two commits, the region with the higher revision is right, and the next change, or the next start, brings the others to it.
 */
import { randomUUID } from 'node:crypto'
import type { ChangedBy } from '../../api/trail/directory-events.ts'
import { IDENTITY_LIMITS, type Directory } from '../../provider-schema/identity.ts'
import type { StoredDirectory } from '../../state/identity.ts'
import { openDatabase, type Access, type Database } from '../../state/database.ts'
import { Trouble, codeOf, textOf } from '../trouble.ts'
import { isNewer } from './level.ts'
import { operator } from './operator.ts'
import { replaceDirectory } from './replace-directory.ts'

export interface RegionDatabase {
  readonly region: string
  readonly database: Database
}

export interface Regions {
  /** Those that have a database in the shape of this version. */
  readonly prepared: readonly RegionDatabase[]
  /** Those that were never started: they are brought level when they are. */
  readonly unprepared: readonly string[]
  close(): Promise<void>
}

/** SQLSTATE of a database, and of a table, that does not exist. */
const NOT_THERE = ['3D000', '42P01']

/** Opens the databases of regions. Throws a Trouble when one cannot be reached: a change must reach all. */
export async function openRegions(urls: ReadonlyMap<string, string>): Promise<Regions> {
  const prepared: RegionDatabase[] = []
  const unprepared: string[] = []
  const close = async () => {
    await Promise.all(prepared.map(({ database }) => database.close()))
  }
  try {
    for (const [region, url] of [...urls].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const database = openDatabase({ url, connections: 1 })
      const trouble = await look(database)
      if (trouble === undefined) prepared.push({ region, database })
      else {
        await database.close()
        if (!NOT_THERE.includes(codeOf(trouble) ?? '')) throw unreachable(region, trouble)
        unprepared.push(region)
      }
    }
    return { prepared, unprepared, close }
  } catch (error) {
    await close()
    throw error
  }
}

const look = (database: Database) =>
  database.pool.query('select from identity limit 0').then(
    () => undefined,
    (error: unknown) => error,
  )

function unreachable(region: string, error: unknown): Trouble {
  return new Trouble(`The database of ${region} cannot be reached: ${textOf(error)}. Nothing was changed.`, {
    mend: 'A change must reach every region: start it, or take it out of the configuration.',
    cause: error,
  })
}

/** The newest directory of the regions. */
export async function newestDirectory({ prepared }: Regions): Promise<StoredDirectory> {
  return newestOf(await Promise.all(prepared.map(({ database }) => database.read.identity.load())))
}

function newestOf(all: readonly StoredDirectory[]): StoredDirectory {
  const [newest] = all.toSorted((a, b) => (isNewer(b, a) ? 1 : -1))
  if (!newest) throw new Error('there is no region')
  return newest
}

/**
 * Writes what `change` makes of the newest directory to every region, with what that changed there into its trail, or to
 * none. Gives what it wrote.
 */
export function changeDirectory(
  { prepared }: Regions,
  change: (directory: Directory) => Directory,
  by: ChangedBy = operator(),
): Promise<StoredDirectory> {
  return inAll(prepared, [], async (transactions) => {
    const all = await Promise.all(transactions.map((tx) => tx.identity.load()))
    const { revision, directory } = newestOf(all)
    const next = { revision: revision + 1, stamp: randomUUID(), directory: change(directory) }
    const size = JSON.stringify(next.directory).length
    if (size > IDENTITY_LIMITS.directory) {
      throw new Trouble(`All accounts, keys and policies together may have ${IDENTITY_LIMITS.directory} characters.`)
    }
    const now = new Date()
    const requestId = randomUUID()
    for (const [at, { region }] of prepared.entries()) {
      const [tx, was] = [transactions[at], all[at]]
      if (tx && was) await replaceDirectory(tx, was, next, { region, by, at: now, requestId })
    }
    return next
  })
}

/** Brings every region to the newest directory. Gives the names of those that had another. */
export function levelRegions({ prepared }: Regions): Promise<string[]> {
  return inAll(prepared, [], async (transactions) => {
    const all = await Promise.all(transactions.map((tx) => tx.identity.load()))
    const newest = newestOf(all)
    const from = prepared[all.indexOf(newest)]?.region ?? ''
    const change = { by: { kind: 'region', region: from }, at: new Date(), requestId: randomUUID() } as const
    const behind: string[] = []
    for (const [at, { region }] of prepared.entries()) {
      const [tx, was] = [transactions[at], all[at]]
      if (!tx || !was || was.stamp === newest.stamp) continue
      await replaceDirectory(tx, was, newest, { region, ...change })
      behind.push(region)
    }
    return behind
  })
}

/** Runs `work` in transactions of all regions at once. All take the locks in the same order. */
function inAll<Result>(
  [first, ...rest]: readonly RegionDatabase[],
  open: readonly Access[],
  work: (transactions: readonly Access[]) => Promise<Result>,
): Promise<Result> {
  if (!first) return work(open)
  return first.database.transaction(async (tx) => {
    await tx.identity.lock()
    return inAll(rest, [...open, tx], work)
  })
}
