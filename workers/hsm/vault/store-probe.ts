/**
 * LMDB trusts its file: what store-structure.ts does not foresee can end the process that reads it, or that writes to it. So
 * that an HSM with a broken store says so instead of dying without a word, again and again, a store that is open has a mark
 * beside it; whoever finds one left behind first has another process read and write all of the store.
 *
 * Run as a program (`store-probe.ts <store>`) it is that other process.
 */
import { spawn } from 'node:child_process'
import { rm, stat, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ABORT, open as openDatabase, type RootDatabase } from 'lmdb'
import { HOW_TO_RECOVER, openMarkOf, VaultDamaged } from './seal.ts'
import { StoreRoom } from './store-room.ts'

/** Ends by these are LMDB's; any other is somebody's who wants the process away. */
const CRASHES: readonly (string | null)[] = ['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGILL', 'SIGFPE', 'SIGTRAP']

/**
 * To be called before the store at `path` is opened, which must not be open anywhere. Gives what takes the mark away, to be
 * called when it is closed. Throws VaultDamaged when the store was left open and cannot be used without dying of it.
 */
export async function markOpen(path: string): Promise<() => Promise<void>> {
  const mark = openMarkOf(path)
  if (await exists(mark)) await probe(path)
  // A disk that is too full for the mark must not keep an HSM from running.
  await writeFile(mark, '').catch(() => undefined)
  return () => rm(mark, { force: true })
}

async function probe(path: string): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), path], { stdio: 'ignore' })
  const how = await new Promise<string | undefined>((resolve) => {
    child.once('error', () => resolve(undefined))
    child.once('close', (code, signal) => {
      if (signal) resolve(CRASHES.includes(signal) ? signal : undefined)
      else resolve(code === 0 ? undefined : `exit code ${code ?? '?'}`)
    })
  })
  if (how === undefined) return
  throw new VaultDamaged(
    `the sealed store ${path} is damaged: to use its database ends in ${how}. Nothing of it was used. ${HOW_TO_RECOVER}`,
  )
}

/**
 * Bytes of a value that no gap among the free pages of a store holds: to place it LMDB looks through its list of free
 * pages to the end. Otherwise it reads that list bit by bit, and a broken page of it ends the process at some later write.
 */
const TRIAL_BYTES = 1024 * 1024

/** Writes to a database and takes it back: nothing of it reaches the file. */
export function tryWriting(database: RootDatabase<Buffer, string>): void {
  database.transactionSync(() => {
    database.putSync('trial', Buffer.alloc(TRIAL_BYTES))
    return ABORT
  })
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

const [, program, store] = process.argv
if (program === fileURLToPath(import.meta.url) && store !== undefined) {
  const database = openDatabase<Buffer, string>({ path: store, encoding: 'binary' })
  const entries = [...database.getRange()].map(({ key, value }) => [key, Buffer.from(value)] as const)
  database.transactionSync(() => {
    for (const [key, value] of entries) database.putSync(key, value)
    return ABORT
  })
  tryWriting(database)
  // Only a commit changes the list of free pages. One that is refused, as on a full disk, harms nothing.
  const [[key, value] = []] = entries
  if (key !== undefined && value) {
    const room = await StoreRoom.open(store, database)
    await room
      .take(1, value.length)
      .then(() => database.put(key, value))
      .catch(() => undefined)
    await room.close()
  }
  await database.close()
  process.exit(0)
}
