/**
 * The record store of a real HSM: all records in memory, each change durable in the sealed store file before it counts.
 * Changes that arrive while a commit is under way share the next one (group commit).
 */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { HsmError } from '../protocol/errors.ts'
import { ChangeFeed } from './change-feed.ts'
import type { FeedEntry, RecordStore, VersionedRecord } from './record-store.ts'
import { isNewer } from './record-version.ts'
import { VaultDamaged } from './seal.ts'
import { StoreFile, type EntryChange } from './store-file.ts'

const RECORD = 'record/'
const LOCAL = 'local/'
/** Records of one commit. More wait for the next, so that one commit never holds the disk for long. */
const COMMIT_RECORDS = 2048

const packr = new Packr({ useRecords: false })
const recordShape = z.tuple([z.number(), z.string(), z.number(), z.instanceof(Uint8Array).nullable()])

type Change =
  | { readonly kind: 'write'; readonly path: string; readonly value: Uint8Array | undefined }
  | { readonly kind: 'apply'; readonly record: VersionedRecord }
  | { readonly kind: 'local'; readonly name: string; readonly value: Uint8Array | undefined }

interface Job {
  readonly changes: readonly Change[]
  readonly resolve: (entries: FeedEntry[]) => void
  readonly reject: (error: unknown) => void
}

type CommitListener = (entries: readonly FeedEntry[], origin: 'local' | 'peer') => void

/**
 * Opens the store in an HSM's directory. `hsmId` signs this HSM's own versions; who does not know it yet may look into what
 * the store keeps for this HSM alone. Throws VaultDamaged when what is on disk is not what this HSM left there.
 */
export async function openSealedStore(options: {
  readonly directory: string
  readonly sealKey: Uint8Array
  readonly hsmId: string | ((local: Pick<RecordStore['local'], 'get'>) => string)
}): Promise<RecordStore> {
  const records = new Map<string, FeedEntry>()
  const local = new Map<string, Uint8Array>()
  const file = await StoreFile.open(options.directory, options.sealKey, (name, plaintext) => {
    if (name.startsWith(LOCAL)) return void local.set(name.slice(LOCAL.length), plaintext)
    if (!name.startsWith(RECORD)) throw new VaultDamaged(`${name} is not an entry of this store`)
    const path = name.slice(RECORD.length)
    const [counter, hsmId, seq, value] = recordShape.parse(packr.unpack(plaintext))
    records.set(path, { path, seq, version: { counter, hsmId }, ...(value && { value }) })
  })
  const { hsmId } = options
  try {
    return new SealedStore(typeof hsmId === 'string' ? hsmId : hsmId(local), file, records, local)
  } catch (error) {
    await file.close()
    throw error
  }
}

class SealedStore implements RecordStore {
  readonly local: RecordStore['local']
  readonly hsmId: string
  readonly #file: StoreFile
  readonly #records: Map<string, FeedEntry>
  readonly #local: Map<string, Uint8Array>
  readonly #feed = new ChangeFeed(({ path, seq }) => this.#records.get(path)?.seq === seq)
  readonly #listeners: CommitListener[] = []
  #jobs: Job[] = []
  #working: Promise<void> | undefined
  #closed = false

  constructor(hsmId: string, file: StoreFile, records: Map<string, FeedEntry>, local: Map<string, Uint8Array>) {
    this.hsmId = hsmId
    this.#file = file
    this.#records = records
    this.#local = local
    for (const { seq, path } of [...records.values()].sort((a, b) => a.seq - b.seq)) {
      this.#feed.append({ seq, path }, true)
    }
    this.local = {
      get: (name) => this.#local.get(name),
      put: async (name, value) => {
        await this.#enqueue([{ kind: 'local', name, value }])
      },
    }
  }

  get lastSeq(): number {
    return this.#file.progress.lastSeq
  }

  get counter(): number {
    return this.#file.progress.counter
  }

  get(path: string): FeedEntry | undefined {
    return this.#records.get(path)
  }

  list(prefix: string, { tombstones = false }: { tombstones?: boolean } = {}): VersionedRecord[] {
    return [...this.#records.values()]
      .filter(({ path, value }) => path.startsWith(prefix) && (tombstones || value !== undefined))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  write(changes: readonly { path: string; value: Uint8Array | undefined }[]): Promise<FeedEntry[]> {
    return this.#enqueue(changes.map((change) => ({ kind: 'write', ...change })))
  }

  apply(records: readonly VersionedRecord[]): Promise<FeedEntry[]> {
    return this.#enqueue(records.map((record) => ({ kind: 'apply', record })))
  }

  feedAfter(seq: number, limit: number): FeedEntry[] {
    const entries: FeedEntry[] = []
    for (const { path } of this.#feed.after(seq, limit)) {
      const entry = this.#records.get(path)
      if (entry) entries.push(entry)
    }
    return entries
  }

  onCommit(listener: CommitListener): void {
    this.#listeners.push(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#working
    await this.#file.close()
  }

  #enqueue(changes: readonly Change[]): Promise<FeedEntry[]> {
    if (this.#closed) return Promise.reject(new HsmError('StorageFailed', 'the HSM is stopping'))
    return new Promise((resolve, reject) => {
      this.#jobs.push({ changes, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  /** Commits until nothing waits. Never throws: each job learns of its own failure. */
  async #work(): Promise<void> {
    // Changes of the same turn of the event loop share a commit.
    await Promise.resolve()
    while (this.#jobs.length > 0) await this.#commit(this.#takeJobs())
    this.#working = undefined
  }

  #takeJobs(): Job[] {
    let size = 0
    let count = 0
    for (const { changes } of this.#jobs) {
      size += changes.length
      if (count > 0 && size > COMMIT_RECORDS) break
      count += 1
    }
    return this.#jobs.splice(0, count)
  }

  async #commit(jobs: readonly Job[]): Promise<void> {
    const plan = new CommitPlan(this.hsmId, this.#file.progress, (path) => this.#records.get(path))
    try {
      const planned = jobs.map(({ changes }) => changes.flatMap((change) => plan.add(change)))
      if (plan.entries.length > 0) await this.#file.commit(plan.entries, plan.progress)
      for (const change of jobs.flatMap((job) => job.changes)) this.#keepLocal(change)
      jobs.forEach((job, i) => this.#settle(job, planned[i] ?? []))
    } catch (error) {
      for (const { reject } of jobs) reject(error)
    }
  }

  #settle({ changes, resolve }: Job, entries: FeedEntry[]): void {
    for (const entry of entries) {
      const first = !this.#records.has(entry.path)
      this.#records.set(entry.path, entry)
      this.#feed.append(entry, first)
    }
    const origin = changes[0]?.kind === 'apply' ? 'peer' : 'local'
    if (entries.length > 0) this.#tell(entries, origin)
    resolve(entries)
  }

  /** A listener that fails leaves this process apart from what is on disk: that ends the process, which then starts anew. */
  #tell(entries: readonly FeedEntry[], origin: 'local' | 'peer'): void {
    try {
      for (const listener of this.#listeners) listener(entries, origin)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #keepLocal(change: Change): void {
    if (change.kind !== 'local') return
    if (change.value === undefined) this.#local.delete(change.name)
    else this.#local.set(change.name, change.value)
  }
}

/** Works out versions, numbers and entries of one commit, each change upon those before it. */
class CommitPlan {
  readonly entries: EntryChange[] = []
  readonly #hsmId: string
  readonly #standing: (path: string) => FeedEntry | undefined
  readonly #planned = new Map<string, FeedEntry>()
  #counter: number
  #seq: number

  constructor(
    hsmId: string,
    progress: { counter: number; lastSeq: number },
    standing: (path: string) => FeedEntry | undefined,
  ) {
    this.#hsmId = hsmId
    this.#counter = progress.counter
    this.#seq = progress.lastSeq
    this.#standing = standing
  }

  get progress() {
    return { counter: this.#counter, lastSeq: this.#seq }
  }

  /** The feed entry the change leads to; none when it is older than what stands, or no record. */
  add(change: Change): FeedEntry[] {
    if (change.kind === 'local') {
      this.entries.push({ name: LOCAL + change.name, plaintext: change.value })
      return []
    }
    const record = change.kind === 'apply' ? change.record : this.#ownRecord(change.path, change.value)
    this.#counter = Math.max(this.#counter, record.version.counter)
    if (change.kind === 'apply' && !isNewer(record, this.#planned.get(record.path) ?? this.#standing(record.path))) {
      return []
    }
    const { path, version, value } = record
    this.#seq += 1
    const entry: FeedEntry = { path, version, seq: this.#seq, ...(value && { value }) }
    this.#planned.set(path, entry)
    const plaintext = packr.pack([version.counter, version.hsmId, this.#seq, value ?? null])
    this.entries.push({ name: RECORD + path, plaintext })
    return [entry]
  }

  #ownRecord(path: string, value: Uint8Array | undefined): VersionedRecord {
    return { path, version: { counter: this.#counter + 1, hsmId: this.#hsmId }, ...(value && { value }) }
  }
}
