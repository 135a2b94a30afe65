/**
 * A record store in memory, with commits that take as long as the caller says. The real one cannot stand in for it where
 * time is simulated: its commits end when the disk says so.
 */
import type { FeedEntry, RecordStore, VersionedRecord } from '../../vault/record-store.ts'
import { isNewer } from '../../vault/record-version.ts'

/** What survives a crash. */
export interface MemoryDisk {
  readonly records: Map<string, FeedEntry>
  readonly local: Map<string, Uint8Array>
  counter: number
  lastSeq: number
}

export function memoryDisk(): MemoryDisk {
  return { records: new Map(), local: new Map(), counter: 0, lastSeq: 0 }
}

export class MemoryStore implements RecordStore {
  readonly local: RecordStore['local']
  readonly hsmId: string
  readonly #disk: MemoryDisk
  readonly #flushed: () => Promise<void>
  readonly #listeners: ((entries: readonly FeedEntry[], origin: 'local' | 'peer') => void)[] = []
  #crashed = false
  #commits: Promise<unknown> = Promise.resolve()

  /** `flushed` is awaited by each commit before it takes effect. */
  constructor(hsmId: string, disk: MemoryDisk = memoryDisk(), flushed: () => Promise<void> = () => Promise.resolve()) {
    this.hsmId = hsmId
    this.#disk = disk
    this.#flushed = flushed
    this.local = {
      get: (name) => disk.local.get(name),
      put: (name, value) =>
        this.#commit(() => {
          if (value === undefined) disk.local.delete(name)
          else disk.local.set(name, value)
        }),
    }
  }

  get lastSeq(): number {
    return this.#disk.lastSeq
  }

  /** Commits that have not ended never will. */
  crash(): void {
    this.#crashed = true
  }

  get counter(): number {
    return this.#disk.counter
  }

  get(path: string): FeedEntry | undefined {
    return this.#disk.records.get(path)
  }

  list(prefix: string, { tombstones = false }: { tombstones?: boolean } = {}): VersionedRecord[] {
    return [...this.#disk.records.values()]
      .filter(({ path, value }) => path.startsWith(prefix) && (tombstones || value !== undefined))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  write(changes: readonly { path: string; value: Uint8Array | undefined }[]): Promise<FeedEntry[]> {
    return this.#commit(() => {
      const entries = changes.map(({ path, value }) => {
        const version = { counter: this.#disk.counter + 1, hsmId: this.hsmId }
        return this.#keep({ path, version, ...(value && { value }) })
      })
      this.#tell(entries, 'local')
      return entries
    })
  }

  apply(records: readonly VersionedRecord[]): Promise<FeedEntry[]> {
    return this.#commit(() => {
      const entries = records
        .filter((record) => isNewer(record, this.#disk.records.get(record.path)))
        .map((record) => this.#keep(record))
      this.#tell(entries, 'peer')
      return entries
    })
  }

  feedAfter(seq: number, limit: number): FeedEntry[] {
    return [...this.#disk.records.values()]
      .filter((entry) => entry.seq > seq)
      .sort((a, b) => a.seq - b.seq)
      .slice(0, limit)
  }

  onCommit(listener: (entries: readonly FeedEntry[], origin: 'local' | 'peer') => void): void {
    this.#listeners.push(listener)
  }

  async close(): Promise<void> {
    await this.#commits
  }

  #keep(record: VersionedRecord): FeedEntry {
    this.#disk.lastSeq += 1
    this.#disk.counter = Math.max(this.#disk.counter, record.version.counter)
    const entry = { ...record, seq: this.#disk.lastSeq }
    this.#disk.records.set(record.path, entry)
    return entry
  }

  #tell(entries: readonly FeedEntry[], origin: 'local' | 'peer'): void {
    if (entries.length > 0) for (const listener of this.#listeners) listener(entries, origin)
  }

  #commit<Result>(change: () => Result): Promise<Result> {
    const done = this.#commits.then(async () => {
      await this.#flushed()
      // A process that was killed neither writes nor answers.
      if (this.#crashed) await new Promise<never>(() => undefined)
      return change()
    })
    this.#commits = done.catch(() => undefined)
    return done
  }
}
