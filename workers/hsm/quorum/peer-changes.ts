/**
 * Changes of other HSMs that ask for approvals, looked at by this one before it takes them over: it checks the signatures
 * that came along against its own users, and its audit log says who approved, or what was wrong.
 *
 * A change that the other HSM has just made and that is not as it must be is refused: it fails there, for want of a second
 * copy. Only then can this HSM know. It takes over, and writes down what it could not verify,
 *
 * - while it follows a feed for the first time after an interruption: of a record that changed ten times it sees the last
 *   state, and users, keys and values may be others by now. What stands there was held by two HSMs when it was
 *   acknowledged, of which one had not made it and looked at it then;
 * - from an HSM that did not make it, for the same reason. So HSMs that looked at different times end up the same;
 * - when it joins, without a look: it knows nothing to compare with.
 *
 * What it has refused it does not take from the same HSM later, but from any other.
 */
import type { AuditEvent } from '../audit/event.ts'
import { IDENTITY_PATH, requireSameCluster } from '../identity/cluster-identity.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Admission, Admitted, Source } from '../replication/admission.ts'
import { Supposed } from '../vault/contested-records.ts'
import type { RecordStore, VersionedRecord } from '../vault/record-store.ts'
import { isNewer } from '../vault/record-version.ts'
import { possiblePlaces, subjectOf } from '../vault/statements.ts'
import { requireReadable } from '../vault/readable.ts'
import type { QuorumClock } from './clock.ts'
import { judge, type Judgement, type Knowledge } from './peer-judgement.ts'
import { APPROVALS, approvalsPath, areOf, serviceOf } from './spent-approvals.ts'
import { SpentTokens } from './spent-tokens.ts'

export interface PeerChangesOptions {
  readonly hsmId: string
  readonly store: RecordStore
  /** Ids of the cluster's HSMs. */
  readonly members: () => readonly string[]
  /** Whether the HSM is in a cluster: what it takes over while it joins was looked at by others. */
  readonly inService: () => boolean
  readonly note: (event: AuditEvent) => void
  readonly clock: Pick<QuorumClock, 'unixSeconds'>
}

/** Of newest refusals, so many are remembered. */
const KEPT_REFUSALS = 1_024
/**
 * Changes that other HSMs can have made while this one was away: 1,000 a second for a month. Who claims more would use up the
 * numbers of all.
 */
const MOST_MISSED_CHANGES = 2 ** 32
/** Services whose changes come with what was signed, though not from HSMs of before. */
const CARRIED = ['key-management', 'registration'] as const

/** The records of one batch that are taken over, and those that are not. */
interface Batch {
  readonly source: Source
  /** Whether what the source wrote it has just written. */
  readonly fresh: boolean
  /** Where this HSM can not tell while it is behind, the source is to wait. */
  readonly pushed: boolean
  readonly taken: Supposed
  readonly refused: Map<string, HsmError>
  readonly events: AuditEvent[]
  /** Records that the source gave when asked. */
  readonly given: Map<string, VersionedRecord>
  readonly tokens: SpentTokens
}

export class PeerChanges implements Admission {
  readonly carries = CARRIED
  readonly #options: PeerChangesOptions
  readonly #spent = new SpentTokens()
  readonly #onDisk: Supposed
  /** By path, the version that was refused. */
  readonly #refused = new Map<string, { readonly record: VersionedRecord; readonly why: HsmError }>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: PeerChangesOptions) {
    this.#options = options
    const { store, clock } = options
    this.#onDisk = new Supposed(store)
    for (const record of store.list(APPROVALS)) this.#spent.take(record, clock.unixSeconds())
    store.onCommit((entries) => {
      for (const entry of entries) {
        this.#spent.take(entry, clock.unixSeconds())
        this.#refused.delete(entry.path)
      }
    })
  }

  judges(path: string): boolean {
    return path.startsWith(APPROVALS) || serviceOf(subjectOf(path)) !== undefined
  }

  pushed(path: string): ReturnType<Admission['pushed']> {
    if (path.startsWith(APPROVALS)) return 'with-next'
    const service = serviceOf(subjectOf(path))
    // Attributes of keys change often, and few keys ask for approvals: those come behind them.
    return service && service !== 'key-management' ? 'alone' : 'with-others'
  }

  async take(records: readonly VersionedRecord[], source: Source, pushed: boolean): Promise<Admitted> {
    const { store, inService } = this.#options
    for (const record of records) this.#requireUsable(record)
    const judged = records.some(({ path }) => this.judges(path))
    if (!judged || !inService()) return { entries: await store.apply(records), refused: new Map() }
    // One batch after the other: a token that comes with two of them was spent twice.
    const done = this.#turn.then(() => this.#take(records, source, pushed))
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** Throws InvalidRequest for what would do harm here, whoever approved it. */
  #requireUsable(record: VersionedRecord): void {
    requireReadable(record)
    const { store, inService } = this.#options
    if (!inService()) return
    const { path, version } = record
    if (version.counter > store.counter + MOST_MISSED_CHANGES) {
      throw new HsmError(
        'InvalidRequest',
        `the version of ${path} is higher than any HSM of this cluster can have come to`,
      )
    }
    if (path === IDENTITY_PATH) requireSameCluster(record, store.get(path))
  }

  async #take(records: readonly VersionedRecord[], source: Source, pushed: boolean): Promise<Admitted> {
    const { store, note } = this.#options
    const batch: Batch = {
      source,
      fresh: source.current,
      pushed,
      taken: new Supposed(store),
      refused: new Map(),
      events: [],
      given: new Map(),
      tokens: new SpentTokens(),
    }
    const ofApprovals = records.filter(({ path, value }) => path.startsWith(APPROVALS) && value)
    const beside = new Map(ofApprovals.map((each) => [each.path, each]))
    for (const record of records) {
      if (record.path.startsWith(APPROVALS)) this.#takeLate(record, records, batch)
      else await this.#consider(record, beside.get(approvalsPath(record.path)), batch, true)
    }
    const entries = await store.apply(batch.taken.records)
    batch.events.forEach(note)
    return { entries, refused: batch.refused }
  }

  /** Approvals whose change is not in the batch: it is here, or it is still to come and then brings them itself. */
  #takeLate(approvals: VersionedRecord, records: readonly VersionedRecord[], batch: Batch): void {
    // Of a key that was deleted.
    if (!approvals.value) return batch.taken.put(approvals)
    const path = approvals.path.slice(APPROVALS.length)
    if (records.some((record) => record.path === path)) return
    const standing = this.#options.store.get(path)
    if (standing && areOf(approvals.version, standing.version)) batch.taken.put(approvals)
  }

  /** Takes a change over with its approvals, or refuses both. `ask`: the source may be asked for what is not known here. */
  async #consider(
    record: VersionedRecord,
    approvals: VersionedRecord | undefined,
    batch: Batch,
    ask: boolean,
  ): Promise<boolean> {
    const { store } = this.#options
    if (!isNewer(record, batch.taken.kept(record.path))) return true
    const firstHand = record.version.hsmId === batch.source.hsmId
    const before = this.#refused.get(record.path)
    if (firstHand && before && sameVersion(before.record, record)) {
      batch.refused.set(record.path, before.why)
      return false
    }
    let beside = approvals
    let judgement = judge(record, this.#knowledge(batch, beside))
    if (judgement.flaw && ask && firstHand) {
      if (await this.#askFor(judgement.askFor, record.path, batch)) {
        beside ??= batch.given.get(approvalsPath(record.path))
        judgement = judge(record, this.#knowledge(batch, beside))
      }
    }
    const { flaw } = judgement
    if (flaw && firstHand && batch.fresh) {
      this.#refuse(record, judgement, flaw, batch)
      return false
    }
    if (flaw && firstHand && batch.pushed) throw behind(record)
    if (beside && isNewer(beside, store.get(beside.path))) {
      batch.taken.put(beside)
      batch.tokens.take(beside, this.#options.clock.unixSeconds())
    }
    batch.taken.put(record)
    if (flaw ?? judgement.approvers.length > 0) batch.events.push(eventOf(record, judgement, 'taken'))
    return true
  }

  /** Takes over what the source has of these, as far as it is as it must be. False when there is nothing new. */
  async #askFor(paths: readonly string[], except: string, batch: Batch): Promise<boolean> {
    const hsmIds = [...new Set([...this.#options.members(), batch.source.hsmId])]
    const places = paths.flatMap((path) => possiblePlaces(path, hsmIds)).filter((path) => path !== except)
    const wanted = places.flatMap((path) => (path.startsWith(APPROVALS) ? [path] : [path, approvalsPath(path)]))
    const unknown = [...new Set(wanted)].filter((path) => !batch.given.has(path))
    if (unknown.length === 0) return false
    // Without an answer what is known has to do.
    const given = await batch.source.fetch(unknown).catch(() => [])
    const news = given.filter((record) => isNewer(record, batch.taken.kept(record.path)))
    for (const record of news) batch.given.set(record.path, record)
    for (const record of news) {
      if (record.path.startsWith(APPROVALS)) continue
      await this.#consider(record, batch.given.get(approvalsPath(record.path)), batch, false)
    }
    return news.length > 0
  }

  #refuse(record: VersionedRecord, judgement: Judgement, flaw: NonNullable<Judgement['flaw']>, batch: Batch): void {
    const why = new HsmError(flaw.code, `Quorum Failed: ${subjectOf(record.path)}: ${flaw.why}`)
    batch.refused.set(record.path, why)
    batch.events.push(eventOf(record, judgement, 'refused'))
    this.#refused.set(record.path, { record, why })
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size <= KEPT_REFUSALS) break
      this.#refused.delete(oldest)
    }
  }

  #knowledge({ source, taken, tokens }: Batch, beside: VersionedRecord | undefined): Knowledge {
    const { hsmId, clock } = this.#options
    return {
      hsmId,
      get: (path) => taken.holds(path, beside),
      before: (path) => this.#onDisk.holds(path),
      with: (record) => taken.holds(subjectOf(record.path), record),
      kept: (path) => taken.kept(path),
      usesOf: (approvals) => [...this.#spent.usesOf(approvals), ...tokens.usesOf(approvals)],
      unixSeconds: () => clock.unixSeconds(),
      carries: source.carries,
    }
  }
}

/** The source keeps it and is asked again when this HSM pulls. */
const behind = ({ path }: VersionedRecord) =>
  new HsmError('Busy', `this HSM is behind and cannot tell yet whether ${subjectOf(path)} has its approvals`)

const sameVersion = (one: VersionedRecord, other: VersionedRecord) =>
  one.version.counter === other.version.counter && one.version.hsmId === other.version.hsmId

function eventOf(
  { path, version }: VersionedRecord,
  { requester, approvers, flaw }: Judgement,
  outcome: 'taken' | 'refused',
): AuditEvent {
  return {
    opcode: 'SR_PEER_CHANGE',
    operation: 'replication',
    session: 0,
    by: requester,
    refusal: flaw && outcome === 'refused' ? { code: flaw.code } : undefined,
    details: {
      kind: 'peer-change',
      record: subjectOf(path),
      hsmId: version.hsmId,
      approvers,
      reason: flaw && (outcome === 'refused' ? flaw.why : `taken over as settled, though ${flaw.why}`),
    },
  }
}
