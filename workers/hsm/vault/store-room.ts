/**
 * Room behind the last page of an LMDB file, taken on the disk before a commit, so that none of LMDB's own writes meets a
 * full disk: lmdb-js 3.5.6 tells of a failed write in 100 bytes of memory, which are too few for what it says there
 * (mdb_page_flush), and the process may end of it. A file system that copies what is overwritten (btrfs, ZFS) can refuse
 * all the same.
 */
import { mkdir, open, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { z } from 'zod'
import { notWritten } from '../identity/files.ts'

/** Pages taken beyond what is needed, so that few commits have to take any. */
const STEP_PAGES = 128
/** Pages for the list of free pages and for the roots of both trees. */
const OWN_PAGES = 32

/** More than LMDB needs for the readers of one process. */
const LOCK_BYTES = 8192

const statsShape = z.object({
  pageSize: z.number(),
  lastPageNumber: z.number(),
  treeDepth: z.number(),
  treeBranchPageCount: z.number(),
  treeLeafPageCount: z.number(),
})

export class StoreRoom {
  readonly #database: RootDatabase<Buffer, string>
  readonly #file: FileHandle
  #bytes: number

  private constructor(database: RootDatabase<Buffer, string>, file: FileHandle, bytes: number) {
    this.#database = database
    this.#file = file
    this.#bytes = bytes
  }

  /** `store` is the directory of the open database. */
  static async open(store: string, database: RootDatabase<Buffer, string>): Promise<StoreRoom> {
    const file = await open(join(store, 'data.mdb'), 'r+')
    return new StoreRoom(database, file, (await file.stat()).size)
  }

  /**
   * Takes room for a commit of so many entries with so many bytes in all. Throws the file system's error when the disk has
   * not so much; nothing is kept of it then.
   */
  async take(entries: number, bytes: number): Promise<void> {
    const stats = statsShape.parse(this.#database.getStats())
    const end = (stats.lastPageNumber + 1) * stats.pageSize
    const needed = end + pagesFor(entries, bytes, stats) * stats.pageSize
    if (needed <= this.#bytes) return
    const from = Math.max(end, this.#bytes)
    const zeros = Buffer.alloc(needed + STEP_PAGES * stats.pageSize - from)
    try {
      for (let done = 0; done < zeros.length;) {
        done += (await this.#file.write(zeros, done, zeros.length - done, from + done)).bytesWritten
      }
    } catch (error) {
      await this.#file.truncate(from)
      throw error
    }
    this.#bytes = from + zeros.length
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

/**
 * Makes the lock file of a store that has none, before LMDB does: it would make one with holes and write to it through
 * memory, which ends the process when the disk is full (SIGBUS). Throws HsmError StorageFailed then.
 */
export async function takeLockRoom(store: string): Promise<void> {
  const path = join(store, 'lock.mdb')
  const { size } = await stat(path).catch(() => ({ size: 0 }))
  if (size > 0) return
  try {
    await mkdir(store, { recursive: true, mode: 0o700 })
    await writeFile(path, Buffer.alloc(LOCK_BYTES), { mode: 0o600 })
  } catch (cause) {
    await rm(path, { force: true })
    throw notWritten(`the HSM could not write ${path}`, cause)
  }
}

/** A changed page is written to a new place, with all from it to the root; pages split in two, and are half full then. */
function pagesFor(entries: number, bytes: number, stats: z.infer<typeof statsShape>): number {
  const { pageSize, treeDepth, treeBranchPageCount, treeLeafPageCount } = stats
  const changed = Math.min(entries * (treeDepth + 1), treeBranchPageCount + treeLeafPageCount)
  return OWN_PAGES + changed + entries + Math.ceil((2 * bytes) / pageSize)
}
