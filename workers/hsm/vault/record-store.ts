/**
 * The content of an HSM as versioned records: the one interface between what is kept (users, keys, cluster identity)
 * and how it is kept durable (sealed store), the same on every HSM (replication) and restorable (backup).
 *
 * Paths: `cluster/identity`, `users/<username>`, `keys/<handle>`, `key-attributes/<handle>/<name>`,
 * `key-shares/<handle>/<username>`, `quorum-values/<service>`, `mtls/…`, `approvals/<path>`, `leaving/<username>/<id>`, and
 * `by/<HSM id>/<path>` for most of these (`statements.ts`). Values are msgpack and in clear only inside this
 * process; the sealed store encrypts each with its path as associated data, replication with the masking key.
 */

/** Lamport counter and the HSM that wrote. The higher counter wins; on a tie a tombstone, then the higher HSM id. */
export interface RecordVersion {
  readonly counter: number
  readonly hsmId: string
}

export interface VersionedRecord {
  readonly path: string
  readonly version: RecordVersion
  /** Absent in a tombstone: the record was deleted and stays so against every older version. */
  readonly value?: Uint8Array
}

/** A record as it stands in this HSM's own numbered change feed: one entry a path, at its latest number. */
export interface FeedEntry extends VersionedRecord {
  readonly seq: number
}

export interface RecordStore {
  /** Of this HSM: signs its own versions. */
  readonly hsmId: string
  get(path: string): FeedEntry | undefined
  /** Live records and, when asked, tombstones below a prefix, in order of path. */
  list(prefix: string, options?: { tombstones?: boolean }): Iterable<VersionedRecord>
  /**
   * Writes this HSM's own changes: the next versions, one durable commit (group commit), next feed numbers.
   * Resolves when they are on disk. `value: undefined` deletes. Throws HsmError StorageFailed; nothing changed then.
   */
  write(changes: readonly { path: string; value: Uint8Array | undefined }[]): Promise<FeedEntry[]>
  /** Takes over records of peers or of a backup where they are newer, durably. Gives those that were taken over. */
  apply(records: readonly VersionedRecord[]): Promise<FeedEntry[]>
  /** Entries with a higher number than `seq`, ascending, at most `limit`. */
  feedAfter(seq: number, limit: number): FeedEntry[]
  /** Number of the newest durable entry; 0 when there is none. */
  readonly lastSeq: number
  /** The highest of all versions that were ever seen here. */
  readonly counter: number
  /** Called after each durable commit, own or applied, in order of number. */
  onCommit(listener: (entries: readonly FeedEntry[], origin: 'local' | 'peer') => void): void
  /** What concerns this HSM alone and is neither replicated nor backed up (membership, peer positions, …); sealed as well. */
  readonly local: {
    get(name: string): Uint8Array | undefined
    /** Durable when resolved. */
    put(name: string, value: Uint8Array | undefined): Promise<void>
  }
  close(): Promise<void>
}
