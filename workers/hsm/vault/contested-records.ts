/**
 * A store as users, keys and their rules see it: of a path that several HSMs may change at once they get what follows from
 * all statements on it, as one record. Everything else passes through.
 */
import type { FeedEntry, RecordStore, VersionedRecord } from './record-store.ts'
import {
  ANY,
  encodeStatement,
  isContested,
  latest,
  LATEST,
  statementIn,
  statementPath,
  subjectOf,
  type Meaning,
  type Statement,
} from './statements.ts'
import { USERS } from './user-statements.ts'

type Listener = (entries: readonly FeedEntry[], origin: 'local' | 'peer') => void
interface Change {
  readonly path: string
  readonly value: Uint8Array | undefined
}

const NOWHERE: ReadonlySet<string> = new Set()
const views = new WeakMap<RecordStore, ContestedRecords>()

/** The view of a store; the same one for all who ask, since it keeps itself current. */
export function recordsOf(store: RecordStore): ContestedRecords {
  const view = views.get(store) ?? new ContestedRecords(store)
  views.set(store, view)
  return view
}

export class ContestedRecords {
  readonly #store: RecordStore
  /** Of each contested path, where its statements are kept. */
  readonly #places = new Map<string, Set<string>>()
  readonly #listeners: Listener[] = []

  constructor(store: RecordStore) {
    this.#store = store
    for (const { path } of store.feedAfter(0, Infinity)) this.#place(path)
    store.onCommit((entries, origin) => {
      for (const { path } of entries) this.#place(path)
      const held = entries.map((entry) => this.#held(entry))
      for (const listener of this.#listeners) listener(held, origin)
    })
  }

  /** What holds of a path, tombstones included; undefined when nothing was ever said of it. */
  get(path: string): FeedEntry | undefined {
    const kept = isContested(path) ? this.#lastOf(path) : this.#store.get(path)
    return kept && this.#held(kept)
  }

  /** What holds below a prefix of contested paths, in order of path. */
  list(prefix: string): FeedEntry[] {
    return [...this.#places.keys()]
      .filter((path) => path.startsWith(prefix))
      .sort()
      .flatMap((path) => {
        const held = this.get(path)
        return held?.value ? [held] : []
      })
  }

  /** What holds of every path, tombstones included, in the order of the feed. */
  all(): FeedEntry[] {
    return this.#store.feedAfter(0, Infinity).map((entry) => this.#held(entry))
  }

  /** Called after each durable commit with what holds then, once for each record of the commit. */
  onCommit(listener: Listener): void {
    this.#listeners.push(listener)
  }

  /** The records to be written so that these changes hold: of contested paths this HSM's statement. */
  stating(changes: readonly Change[]): Change[] {
    return changes.map((change) => (isContested(change.path) ? this.#statement(change) : change))
  }

  /** The records to be written so that nothing is left of what was said on a path; for what never comes back. */
  forgetting(paths: readonly string[]): Change[] {
    return paths.flatMap((path) => [...(this.#places.get(path) ?? [])].map((at) => ({ path: at, value: undefined })))
  }

  /** Where statements on a path are kept here. */
  placesOf(path: string): ReadonlySet<string> {
    return this.#places.get(path) ?? NOWHERE
  }

  #statement({ path, value }: Change): Change {
    const { hsmId, lastSeq } = this.#store
    const statements = statementsIn(this.#kept(path))
    const counter = 1 + Math.max(0, ...statements.map((each) => each.counter))
    const said = meaningOf(path).say(value, statements, { counter, hsmId, nth: lastSeq + 1 })
    return { path: statementPath(hsmId, path), value: encodeStatement({ counter, ...(said && { value: said }) }) }
  }

  #lastOf(path: string): FeedEntry | undefined {
    return this.#kept(path).reduce<FeedEntry | undefined>(
      (last, kept) => (last && last.seq > kept.seq ? last : kept),
      undefined,
    )
  }

  #kept(path: string): FeedEntry[] {
    return [...(this.#places.get(path) ?? [])].flatMap((at) => this.#store.get(at) ?? [])
  }

  /** What holds of the path that a record says something about; `version` and `seq` are the record's own. */
  #held({ path: at, seq, version, value }: FeedEntry): FeedEntry {
    const path = subjectOf(at)
    const holds = isContested(path) ? meaningOf(path).read(statementsIn(this.#kept(path))) : value
    return { path, seq, version, ...(holds && { value: holds }) }
  }

  #place(path: string): void {
    const subject = subjectOf(path)
    if (!isContested(subject)) return
    const places = this.#places.get(subject)
    if (places) places.add(path)
    else this.#places.set(subject, new Set([path]))
  }
}

/** Records that are about to be written to a store, and what will hold then. */
export class Supposed {
  readonly #store: RecordStore
  readonly #records = new Map<string, VersionedRecord>()
  readonly #places = new Map<string, Set<string>>()

  constructor(store: RecordStore) {
    this.#store = store
  }

  get records(): VersionedRecord[] {
    return [...this.#records.values()]
  }

  put(record: VersionedRecord): void {
    const subject = subjectOf(record.path)
    this.#records.set(record.path, record)
    this.#places.set(subject, (this.#places.get(subject) ?? new Set()).add(record.path))
  }

  /** The record of this very path. */
  kept(path: string): VersionedRecord | undefined {
    return this.#records.get(path) ?? this.#store.get(path)
  }

  /** What will hold of a path, with one record more if that is given; the version is that of whoever said so last. */
  holds(path: string, also?: VersionedRecord): VersionedRecord | undefined {
    const keptAt = (at: string) => (also?.path === at ? also : this.kept(at))
    if (!isContested(path)) return keptAt(path)
    const places = new Set([...recordsOf(this.#store).placesOf(path), ...(this.#places.get(path) ?? NOWHERE)])
    if (also && subjectOf(also.path) === path) places.add(also.path)
    const kept = [...places].flatMap((at) => keptAt(at) ?? [])
    const statements = statementsIn(kept)
    const version = (latest(statements)?.kept ?? kept[0])?.version
    const value = meaningOf(path).read(statements)
    return version && { path, version, ...(value && { value }) }
  }
}

const statementsIn = (kept: readonly VersionedRecord[]): Statement[] => kept.flatMap((each) => statementIn(each) ?? [])

function meaningOf(path: string): Meaning {
  if (path.startsWith('users/')) return USERS
  return path.startsWith('leaving/') ? ANY : LATEST
}
