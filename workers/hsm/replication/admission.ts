/** Looking at what another HSM changed before it is taken over. */
import type { HsmError } from '../protocol/errors.ts'
import type { FeedEntry, RecordStore, VersionedRecord } from '../vault/record-store.ts'

/** The HSM that gives records, as this one knows it. */
export interface Source {
  readonly hsmId: string
  /**
   * Whether everything that it had was taken over since the link was made: what comes now it has only just written, or
   * got from others.
   */
  readonly current: boolean
  /** Services whose changes it says that it sends with what was signed. */
  readonly carries: readonly string[]
  /** Its records of these paths as they stand there now; those that it does not have are left out. Throws without a link. */
  fetch(paths: readonly string[]): Promise<VersionedRecord[]>
}

export interface Admitted {
  /** What was newer here and is on disk now. */
  readonly entries: FeedEntry[]
  /** Paths that were not taken over, and why not. */
  readonly refused: ReadonlyMap<string, HsmError>
}

export interface Admission {
  /** Takes over, durably, what may be. `pushed`: just written by the source. Throws what the store throws, and Busy. */
  take(records: readonly VersionedRecord[], source: Source, pushed: boolean): Promise<Admitted>
  /** Whether a record of this path may be refused. */
  judges(path: string): boolean
  /** How a record is pushed: a refusal must concern one change, not others that happen to travel with it. */
  pushed(path: string): 'with-others' | 'with-next' | 'alone'
  /** Services whose changes this HSM sends with what was signed. */
  readonly carries: readonly string[]
}

/** For stores whose records nobody signs. */
export const takeAll = (store: Pick<RecordStore, 'apply'>): Admission => ({
  take: async (records) => ({ entries: await store.apply(records), refused: new Map() }),
  judges: () => false,
  pushed: () => 'with-others',
  carries: [],
})
