/**
 * Records that several HSMs may change at once, where they cannot reach each other, and take back.
 *
 * Under such a path every HSM writes a record of its own only, `by/<HSM id>/<path>`: its statement. What holds follows
 * from all statements that are here (`contested-records.ts`). So a change that too few HSMs took is taken back by putting
 * back the own statement. With one record for all, putting back what stood before undid what another HSM had changed
 * meanwhile as well: a new password was lost, a deleted user came back, a forbidden use was allowed again.
 */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import type { RecordVersion, VersionedRecord } from './record-store.ts'

const packr = new Packr({ useRecords: false })
const BY = 'by/'

/** What users, quorum values, mTLS and changes of keys are kept under; a key itself is written by one HSM only, once. */
const CONTESTED = ['users/', 'leaving/', 'key-attributes/', 'key-shares/', 'quorum-values/', 'mtls/']

export const isContested = (path: string) => CONTESTED.some((prefix) => path.startsWith(prefix))

/** Where an HSM keeps its statement on a path. */
export const statementPath = (hsmId: string, path: string) => `${BY}${hsmId}/${path}`

/** Where these HSMs may keep what they say of a path. */
export const possiblePlaces = (path: string, hsmIds: readonly string[]): string[] =>
  isContested(path) ? [path, ...hsmIds.map((hsmId) => statementPath(hsmId, path))] : [path]

/** The path that a record says something about: its own, unless it is a statement. */
export function subjectOf(path: string): string {
  return path.startsWith(BY) ? path.slice(path.indexOf('/', BY.length) + 1) : path
}

/** What one HSM says about a path. */
export interface Statement {
  /** Higher than that of every statement it was made upon. */
  readonly counter: number
  readonly hsmId: string
  /** Absent when it says that nothing is there. */
  readonly value?: Uint8Array
  /** The record it is kept in. */
  readonly kept: VersionedRecord
  /** Whether that record is the HSM's own; else it stands right under the path and anyone may have written it. */
  readonly own: boolean
}

/** As of versions: a wrong counter must not use up the numbers of all. */
const MAX_COUNTER = 2 ** 48

const statement = z.tuple([z.number().int().min(0).max(MAX_COUNTER), z.instanceof(Uint8Array).nullable()])

export const encodeStatement = ({ counter, value }: Pick<Statement, 'counter' | 'value'>): Buffer =>
  packr.pack([counter, value ?? null])

/**
 * What a record says about its subject; nothing when it was taken back. A record right under the path, as a backup from
 * before there were statements has them, is a statement of the HSM that wrote it.
 */
export function statementIn(kept: VersionedRecord): Statement | undefined {
  const { path, version, value } = kept
  if (!path.startsWith(BY)) return { ...version, kept, own: false, ...(value && { value }) }
  if (value === undefined) return undefined
  const [counter, said] = statement.parse(packr.unpack(value))
  const hsmId = path.slice(BY.length, path.indexOf('/', BY.length))
  return { counter, hsmId, kept, own: true, ...(said && { value: said }) }
}

/** Of two statements that differ the later one; of two made without knowing of each other the same one on every HSM. */
export function isLater(
  one: RecordVersion & { readonly value?: unknown },
  other: RecordVersion & { readonly value?: unknown },
): boolean {
  if (one.counter !== other.counter) return one.counter > other.counter
  const deletes = one.value === undefined
  if (deletes !== (other.value === undefined)) return deletes
  return one.hsmId > other.hsmId
}

/** The latest of several; undefined of none. */
export function latest<Each extends RecordVersion & { readonly value?: unknown }>(
  all: Iterable<Each>,
): Each | undefined {
  let found: Each | undefined
  for (const each of all) if (!found || isLater(each, found)) found = each
  return found
}

/** Who makes a statement, and what it is numbered with. */
export interface Speaker extends RecordVersion {
  /** Higher than for everything this HSM has written before. */
  readonly nth: number
}

/** What follows from the statements on a path, and how a new one is made. */
export interface Meaning {
  /** The value that holds; undefined when none does. */
  readonly read: (statements: readonly Statement[]) => Uint8Array | undefined
  /** What an HSM says from now on, to make this value hold upon these statements. */
  readonly say: (
    value: Uint8Array | undefined,
    statements: readonly Statement[],
    speaker: Speaker,
  ) => Uint8Array | undefined
}

/** The latest statement holds. */
export const LATEST: Meaning = {
  read: (statements) => latest(statements)?.value,
  say: (value) => value,
}

/** It holds while any HSM says so. */
export const ANY: Meaning = {
  read: (statements) => latest(statements.filter(({ value }) => value !== undefined))?.value,
  say: (value) => value,
}
