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
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { HsmError } from '../protocol/errors.ts'
import { sealFor, VAULT_FILES, VaultDamaged, type Seal } from './seal.ts'
import { openGuarded } from './store-probe.ts'

const SUMMARY = 'summary'
const packr = new Packr({ useRecords: false })

/** What the store knows of itself besides its entries. */
const summaryShape = z.object({
  /** Highest Lamport counter seen. */
  counter: z.number(),
  /** Highest number in the change feed. */
  lastSeq: z.number(),
  entries: z.number(),
  /** XOR of the fingerprints of all sealed entries. */
  fingerprint: z.instanceof(Uint8Array),
})
export type Progress = Pick<z.infer<typeof summaryShape>, 'counter' | 'lastSeq'>

export interface EntryChange {
  readonly name: string
  /** `undefined` removes. */
  readonly plaintext: Uint8Array | undefined
}

export class StoreFile {
  readonly #database: RootDatabase<Buffer, string>
  readonly #seal: Seal
  #progress: Progress = { counter: 0, lastSeq: 0 }
  #entries = 0
  #fingerprint = Buffer.alloc(32)

  private constructor(database: RootDatabase<Buffer, string>, seal: Seal) {
    this.#database = database
    this.#seal = seal
  }

  /**
   * Opens the store of an HSM's directory, made when it is not there, and hands each entry to `load`. Throws
   * VaultDamaged, naming the entry, when anything in it is not as this HSM left it.
   */
  static async open(
    directory: string,
    sealKey: Uint8Array,
    load: (name: string, plaintext: Buffer) => void,
  ): Promise<StoreFile> {
    const path = join(directory, VAULT_FILES.store)
    await requireDatabase(join(path, 'data.mdb'))
    return openGuarded(path, () => StoreFile.#open(path, sealKey, load))
  }

  static async #open(
    path: string,
    sealKey: Uint8Array,
    load: (name: string, plaintext: Buffer) => void,
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
      throw new VaultDamaged(`the sealed store ${path} cannot be opened: ${reasonOf(cause)}`, { cause })
    }
    const file = new StoreFile(database, sealFor(sealKey, 'store'))
    try {
      file.#load(load)
      return file
    } catch (cause) {
      await database.close()
      throw new VaultDamaged(
        `the sealed store ${path} is damaged: ${reasonOf(cause)}. Nothing of it was used. Restore the directory from a ` +
          'copy, or remove this HSM and let the cluster (or a backup) give its content to a new one',
        { cause },
      )
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
    const fingerprint = Buffer.from(this.#fingerprint)
    let entries = this.#entries
    // The same name twice in one commit: the later change replaces the earlier, not what is in the file.
    const pending = new Map<string, Buffer | undefined>()
    for (const { name, blob } of sealed) {
      const before = pending.has(name) ? pending.get(name) : this.#database.get(name)
      if (before !== undefined) {
        entries -= 1
        xorInto(fingerprint, this.#seal.fingerprint(name, before))
      }
      if (blob !== undefined) {
        entries += 1
        xorInto(fingerprint, this.#seal.fingerprint(name, blob))
      }
      pending.set(name, blob)
    }
    const summary = this.#seal.seal(SUMMARY, packr.pack({ ...progress, entries, fingerprint }))
    try {
      await this.#transaction(pending, summary)
    } catch (cause) {
      throw new HsmError('StorageFailed', `the HSM could not store the change: ${await commitReason(cause)}`, { cause })
    }
    this.#entries = entries
    this.#fingerprint = fingerprint
    this.#progress = progress
  }

  async close(): Promise<void> {
    await this.#database.close()
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
    this.#progress = { counter: summary.counter, lastSeq: summary.lastSeq }
  }
}

/** LMDB crashes the process on a file that is no LMDB database: its first page has a magic number behind its header of 24 bytes. */
async function requireDatabase(path: string): Promise<void> {
  let file
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw new VaultDamaged(`the sealed store ${path} cannot be read: ${reasonOf(error)}`, { cause: error })
  }
  try {
    const head = Buffer.alloc(28)
    const { bytesRead } = await file.read(head, 0, head.length, 0)
    // A process killed while it made the file leaves it empty.
    if (bytesRead > 0 && head.readUInt32LE(24) !== 0xbeefc0de) {
      throw new VaultDamaged(`the sealed store ${path} is damaged: it is not a database any more`)
    }
  } finally {
    await file.close()
  }
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
