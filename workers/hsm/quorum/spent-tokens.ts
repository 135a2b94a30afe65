/** Which quorum tokens were spent, on what: by this HSM and by the others, as the approvals beside their changes say. */
import { recordsIn, TOKEN_LIFETIME_SECONDS, tokenOf, unixSecondsIn } from '../protocol/quorum.ts'
import type { RecordVersion, VersionedRecord } from '../vault/record-store.ts'
import { APPROVALS, decodeApprovals, type SpentApprovals } from './spent-approvals.ts'

/** A token spent on a record, or on several in one operation. */
export interface Use {
  /** The record that was changed. */
  readonly path: string
  /** Of the approvals. */
  readonly version: RecordVersion
  readonly changes: SpentApprovals['changes']
}

/** One that expired so long ago is refused for that. */
const FORGET_AFTER_SECONDS = 4 * TOKEN_LIFETIME_SECONDS

export class SpentTokens {
  readonly #uses = new Map<string, { readonly uses: Use[]; readonly madeAt: number }>()

  /** To be told of every record that is taken over or written. */
  take({ path, version, value }: VersionedRecord, unixSeconds: number): void {
    const approvals = path.startsWith(APPROVALS) && value ? decodeApprovals(value) : undefined
    if (!approvals) return
    const token = nameOf(approvals)
    const [first] = recordsIn(approvals.approvalData) ?? []
    const known = this.#uses.get(token) ?? { uses: [], madeAt: first ? unixSecondsIn(first) : 0 }
    this.#uses.set(token, known)
    const use = { path: path.slice(APPROVALS.length), version, changes: approvals.changes }
    if (!known.uses.some((each) => sameUse(each, use))) known.uses.push(use)
    for (const [name, { madeAt }] of this.#uses) {
      if (madeAt + FORGET_AFTER_SECONDS > unixSeconds) break
      this.#uses.delete(name)
    }
  }

  usesOf(approvals: SpentApprovals): readonly Use[] {
    return this.#uses.get(nameOf(approvals))?.uses ?? []
  }
}

const nameOf = ({ approvalData }: SpentApprovals) => tokenOf(approvalData).toString('hex')

const sameUse = (one: Use, other: Use) =>
  one.path === other.path && one.version.counter === other.version.counter && one.version.hsmId === other.version.hsmId
