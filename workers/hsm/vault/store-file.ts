/**
 * Sealed entries in an LMDB file: read once at the start, changed by whole transactions.
 *
 * A transaction is synced to disk before it counts (`overlappingSync` off: LMDB then syncs its pages before it switches
 * the root, and the root itself is written O_DSYNC), so an acknowledged write survives a power cut. Each transaction also
 * writes a sealed summary of all entries: what was removed from the file, or put back to an older state, is noticed at
 * the next start, not only what was altered.
 */
import { open as openDatabase, type RootDatabase } from 'lmdb'
import { Packr } from 'msgpackr'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { HsmError } from '../protocol/errors.ts'
import { HOW_TO_RECOVER, sealFor, VAULT_FILES, VaultDamaged, type Seal } from './seal.ts'
import { NewestCommit } from './store-newest.ts'
import { requireDatabase } from './store-head.ts'
import { markOpen, tryWriting } from './store-probe.ts'
import { StoreRoom, takeLockRoom } from './store-room.ts'

const SUMMARY = 'summary'
/** So many that do not open mean that none does. */
const TRIED_ENTRIES = 16
/** A disk with less than this is full: a change may be of thousands of records. */
const ROOM_BYTES = 4 * 1024 * 1024
const packr = new Packr({ useRecords: false })

/** What the store knows of itself besides its entries. */
const summaryShape = z.object({
  /** Highest Lamport counter seen. */
  counter: z.number(),
  /** Highest number in the change feed. */
  lastSeq: z.number(),
  entries: z.number(),
  /** Commits so far; stores of the first version do not have it. */
  commits: z.number().default(0),
  /** XOR of the fingerprints of all sealed entries. */
  fingerprint: z.instanceof(Uint8Array),
})
export type Progress = Pick<z.infer<typeof summaryShape>, 'counter' | 'lastSeq'>

interface Totals {
  readonly entries: number
  readonly fingerprint: Buffer<ArrayBuffer>
}

export interface EntryChange {
  readonly name: string
  /** `undefined` removes. */
  readonly plaintext: Uint8Array | undefined
}

export class StoreFile {
  readonly #path: string
  readonly #database: RootDatabase<Buffer, string>
  readonly #room: StoreRoom
  readonly #seal: Seal
  readonly #newest: NewestCommit
  readonly #unmark: () => Promise<void>
  #commits = 0
  #progress: Progress = { counter: 0, lastSeq: 0 }
  #entries = 0
  #fingerprint = Buffer.alloc(32)

  private constructor(
    path: string,
    database: RootDatabase<Buffer, string>,
    room: StoreRoom,
    seal: Seal,
    newest: NewestCommit,
    unmark: () => Promise<void>,
  ) {
    this.#path = path
    this.#database = database
    this.#room = room
    this.#seal = seal
    this.#newest = newest
    this.#unmark = unmark
  }

  /**
   * Opens the store of an HSM's directory, made when it is not there, and hands each entry to `load`. Throws
   * VaultDamaged, naming the entry, when anything in it is not as this HSM left it; StorageFailed on a full disk.
   */
  static async open(
    directory: string,
    sealKey: Uint8Array,
    load: (name: string, plaintext: Buffer) => void,
  ): Promise<StoreFile> {
    const path = join(directory, VAULT_FILES.store)
    await requireDatabase(join(path, 'data.mdb'))
    await takeLockRoom(path)
    const unmark = await markOpen(path)
    try {
      return await StoreFile.#open(path, sealKey, load, unmark)
    } catch (error) {
      await unmark()
      throw error
    }
  }

  static async #open(
    path: string,
    sealKey: Uint8Array,
    load: (name: string, plaintext: Buffer) => void,
    unmark: () => Promise<void>,
  ): Promise<StoreFile> {
    let database: RootDatabase<Buffer, string>
    try {
      database = openDatabase<Buffer, string>({
        path,
        encoding: 'binary',
        overlappingSync: false,
        // We batch ourselves; lmdb-js would add a promise of its own that nobody awaits when a commit fails.
        eventTurnBatching: false,
        maxReaders: 8,
      })
    } catch (cause) {
      throw new VaultDamaged(`the sealed store ${path} cannot be opened: ${reasonOf(cause)}. ${HOW_TO_RECOVER}`, {
        cause,
      })
    }
    const seal = sealFor(sealKey, 'store')
    const newest = await NewestCommit.open(path, seal)
    const room = await StoreRoom.open(path, database)
    const file = new StoreFile(path, database, room, seal, newest, unmark)
    try {
      file.#load(load)
      if (file.#commits < (await newest.read())) throw new VaultDamaged('its newest changes are gone')
      tryWriting(database)
      return file
    } catch (cause) {
      const nothingOpens = file.#opensNothing()
      await file.close()
      const what = nothingOpens
        ? `the sealed store ${path} is damaged, or ${VAULT_FILES.sealKey} beside it: nothing in it opens with that key. If you have a copy of ${VAULT_FILES.sealKey}, restore it`
        : `the sealed store ${path} is damaged: ${reasonOf(cause)}`
      throw new VaultDamaged(`${what}. Nothing of it was used. ${HOW_TO_RECOVER}`, { cause })
    }
  }

  get progress(): Progress {
    return this.#progress
  }

  /** All changes and the new progress, or nothing. Resolves when they are on disk; throws HsmError StorageFailed. */
  async commit(changes: readonly EntryChange[], progress: Progress): Promise<void> {
    const sealed = changes.map(({ name, plaintext }) => ({
      name,
      blob: plaintext === undefined ? undefined : this.#seal.seal(name, plaintext),
    }))
    let totals: Totals
    try {
      const pending = new Map(sealed.map(({ name, blob }) => [name, blob]))
      totals = this.#totalsWith(pending)
      const summary = this.#seal.seal(SUMMARY, packr.pack({ ...progress, ...totals, commits: this.#commits + 1 }))
      await this.#room.take(pending.size + 1, bytesOf(pending.values()) + summary.length)
      await this.#transaction(pending, summary)
    } catch (cause) {
      this.#requireUsable()
      throw new HsmError(
        'StorageFailed',
        `the HSM could not store the change: ${await this.#whatToDo(await commitReason(cause))}`,
        { cause },
      )
    }
    this.#commits += 1
    await this.#newest.write(this.#commits)
    this.#entries = totals.entries
    this.#fingerprint = totals.fingerprint
    this.#progress = progress
  }

  async close(): Promise<void> {
    await this.#database.close()
    await this.#room.close()
    await this.#newest.close()
    await this.#unmark()
  }

  /**
   * A full disk is told as it is; anything else means that the store itself may be broken. LMDB says "Input/output error" when
   * a write ended before its end (mdb_page_flush), which is how a disk becomes full.
   */
  async #whatToDo(reason: string): Promise<string> {
    if (/no space|too large|quota/i.test(reason)) return `${reason}. Free some space`
    const disk = await statfs(this.#path).catch(() => undefined)
    if (disk && disk.bavail * disk.bsize < ROOM_BYTES) return `${reason}, and the disk is full. Free some space`
    return `${reason}. If this stays so the sealed store is damaged: what it holds can still be read. ${HOW_TO_RECOVER}`
  }

  /** What the summary says of all entries, with these in place of those of the same name. */
  #totalsWith(pending: ReadonlyMap<string, Buffer | undefined>): Totals {
    const fingerprint = Buffer.from(this.#fingerprint)
    let entries = this.#entries
    for (const [name, blob] of pending) {
      const before = this.#database.get(name)
      if (before !== undefined) {
        entries -= 1
        xorInto(fingerprint, this.#seal.fingerprint(name, before))
      }
      if (blob !== undefined) {
        entries += 1
        xorInto(fingerprint, this.#seal.fingerprint(name, blob))
      }
    }
    return { entries, fingerprint }
  }

  /**
   * When the root of its file could not be written LMDB takes and gives nothing any more before it is opened anew
   * (MDB_PANIC), and whether the change is there only that tells: that ends the process, which then starts anew.
   */
  #requireUsable(): void {
    try {
      this.#database.get(SUMMARY)
    } catch (cause) {
      const error = new Error('the sealed store must be opened anew: a write of its root failed', { cause })
      queueMicrotask(() => {
        throw error
      })
    }
  }

  /** A child transaction, since only those are undone when something in them throws. */
  async #transaction(entries: ReadonlyMap<string, Buffer | undefined>, summary: Buffer): Promise<void> {
    await this.#database.childTransaction(() => {
      for (const [name, blob] of entries) {
        if (blob === undefined) this.#database.removeSync(name)
        else this.#database.putSync(name, blob)
      }
      this.#database.putSync(SUMMARY, summary)
    })
  }

  /** Of a store that holds anything: the seal key is another one, then. */
  #opensNothing(): boolean {
    const opens = ({ key, value }: { key: string; value: Buffer }) => {
      try {
        this.#seal.open(key, value)
        return true
      } catch {
        return false
      }
    }
    try {
      const tried = [...this.#database.getRange({ limit: TRIED_ENTRIES })]
      return tried.length > 1 && !tried.some(opens)
    } catch {
      return false
    }
  }

  #load(load: (name: string, plaintext: Buffer) => void): void {
    const sealedSummary = this.#database.get(SUMMARY)
    for (const { key, value } of this.#database.getRange({ snapshot: true })) {
      if (key === SUMMARY) continue
      xorInto(this.#fingerprint, this.#seal.fingerprint(key, value))
      this.#entries += 1
      load(key, this.#seal.open(key, value))
    }
    if (sealedSummary === undefined) {
      if (this.#entries > 0) throw new VaultDamaged('its summary is missing')
      return
    }
    const summary = summaryShape.parse(packr.unpack(this.#seal.open(SUMMARY, sealedSummary)))
    if (summary.entries !== this.#entries) {
      throw new VaultDamaged(`it holds ${this.#entries} entries where ${summary.entries} were written`)
    }
    if (!this.#fingerprint.equals(summary.fingerprint)) {
      throw new VaultDamaged('an entry in it was put back to an older state')
    }
    this.#commits = summary.commits
    this.#progress = { counter: summary.counter, lastSeq: summary.lastSeq }
  }
}

function bytesOf(blobs: Iterable<Buffer | undefined>): number {
  let bytes = 0
  for (const blob of blobs) bytes += blob?.length ?? 0
  return bytes
}

function xorInto(target: Buffer, other: Buffer): void {
  for (let i = 0; i < target.length; i++) target.writeUInt8(target.readUInt8(i) ^ other.readUInt8(i), i)
}

/** lmdb-js rejects with a general error whose `commitError` is a promise of the reason; it must be waited for. */
async function commitReason(error: unknown): Promise<string> {
  if (error instanceof Error && 'commitError' in error) {
    try {
      await error.commitError
    } catch (reason) {
      return reasonOf(reason)
    }
  }
  return reasonOf(error)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
