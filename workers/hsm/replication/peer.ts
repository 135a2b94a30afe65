/**
 * One other HSM of the cluster, as seen from this one: the link to it, what it is known to hold, how far its feed has
 * been followed.
 *
 * New records of this HSM are pushed at once. Everything else comes by pulling the peer's feed from where the last pull
 * ended: after an interruption, now and then anyway, and from its beginning at long intervals. So a push that was lost,
 * or a record that reached the peer from a third HSM, arrives as well.
 */
import type { Logger } from 'pino'
import type { AuditHead } from '../../../provider-schema/audit-file.ts'
import type { Admission, Source } from './admission.ts'
import type { Connection } from '../protocol/connection.ts'
import { HsmError, type HsmErrorCode } from '../protocol/errors.ts'
import type { Member } from '../protocol/values.ts'
import type { FeedEntry, RecordStore } from '../vault/record-store.ts'
import { Acknowledged } from './acknowledged.ts'
import { Bell, type Clock } from './clock.ts'
import { followFeed } from './follow-feed.ts'
import type { Masking } from './masking.ts'
import type { Membership } from './membership.ts'
import { BATCH_BYTES, BATCH_RECORDS, type PeerOperations, type SealedRecord } from './peer-operations.ts'

/** A connection to a peer's port, peer verified. */
export type PeerLink = Pick<Connection<PeerOperations>, 'call' | 'close' | 'closed'>

/** Between two attempts to connect. */
const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 1_000
/** Between two pulls of an idle link; also how soon a peer that hangs is noticed. */
const PULL_MS = 1_000
/** Every so many pulls the whole feed is compared, which finds what should not be possible. */
const PULLS_TO_SWEEP = 600
/** What a peer answers that did not take a change over, and stays linked. */
const NOT_TAKEN: readonly HsmErrorCode[] = ['QuorumRequired', 'QuorumFailed', 'Busy']
/** Those who wait for them look within seconds. */
const KEPT_REFUSALS = 64

/** What outlives a restart. */
export interface PeerPosition {
  /** Of the peer's store. */
  readonly incarnation: string
  /** Everything up to here of the peer's feed is on this HSM's disk. */
  readonly pulled: number
  /** Everything up to here of this HSM's feed is on the peer's disk. */
  readonly acknowledged: number
}

export interface PeerSurroundings {
  readonly hsmId: string
  readonly incarnation: string
  readonly clusterId: string
  readonly store: RecordStore
  readonly masking: () => Masking
  readonly membership: Membership
  readonly connect: (member: Member, signal: AbortSignal) => Promise<PeerLink>
  readonly clock: Clock
  readonly admission: Admission
  readonly log: Logger
  /** Told how far the peer's audit log is. */
  readonly onAuditHead?: ((hsmId: string, head: AuditHead) => void) | undefined
  /** Told when `connected`, what the peer holds, or its position changed. */
  readonly onProgress: () => void
}

export class Peer {
  readonly member: Member
  readonly #surroundings: PeerSurroundings
  readonly #acknowledged: Acknowledged
  readonly #retry: Bell
  readonly #written: Bell
  readonly #pull: Bell
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #incarnation: string
  #pulled: number
  #link: PeerLink | undefined
  /** Services whose changes the peer says that it sends with what was signed. */
  #carries: readonly string[] = []
  /** Newest entries of this HSM's feed that the peer did not take over. */
  readonly #refused = new Map<number, HsmError>()
  /** Whether the peer has made a link of its own to this HSM. */
  #greeted = false
  /** Whether the peer's feed was followed to its end over this link. */
  #caughtUp = false
  /** The same, but for what was refused. */
  #followed = false
  /** Pulls of one link go one after another. */
  #pulling: Promise<void> = Promise.resolve()

  constructor(member: Member, position: PeerPosition | undefined, surroundings: PeerSurroundings) {
    this.member = member
    this.#surroundings = surroundings
    const { clock, store } = surroundings
    this.#incarnation = position?.incarnation ?? ''
    this.#pulled = position?.pulled ?? 0
    this.#acknowledged = new Acknowledged(store, position?.acknowledged)
    this.#retry = new Bell(clock)
    this.#written = new Bell(clock)
    this.#pull = new Bell(clock)
    this.#running = this.#run()
  }

  get connected(): boolean {
    return this.#link !== undefined
  }

  get inSync(): boolean {
    return this.connected && this.#acknowledged.complete
  }

  /** Linked both ways, and each holds what the other had. */
  get settled(): boolean {
    return this.inSync && this.#greeted && this.#caughtUp
  }

  get position(): PeerPosition {
    return { incarnation: this.#incarnation, pulled: this.#pulled, acknowledged: this.#acknowledged.upTo }
  }

  /** Whether the peer is known to have this entry of our feed on its disk. */
  holds(seq: number): boolean {
    return this.#acknowledged.knows(seq)
  }

  /** Why the peer did not take one of these entries over, if it did not. */
  refusalOf(entries: readonly FeedEntry[]): HsmError | undefined {
    if (this.#refused.size === 0) return undefined
    return entries.map(({ seq }) => this.#refused.get(seq)).find((refusal) => refusal !== undefined)
  }

  /** The peer as somebody who gives records. */
  get source(): Source {
    return {
      hsmId: this.member.hsmId,
      current: this.connected && this.#followed,
      carries: this.#carries,
      fetch: async (paths) => {
        if (!this.#link) throw new HsmError('Busy', 'there is no link yet to ask over')
        const { records } = await this.#link.call('fetch', { paths: [...paths] })
        return records.map((record) => this.#surroundings.masking().open(record))
      },
    }
  }

  /** This HSM has written. */
  written(): void {
    this.#written.ring()
  }

  /** The peer says who its store is: it is there, in service, and may have news. */
  greeted(incarnation: string): void {
    this.#meet(incarnation)
    this.#greeted = true
    this.#retry.ring()
    this.#pull.ring()
  }

  /** The peer holds our feed up to here. */
  acknowledgedUpTo(seq: number): void {
    this.#acknowledged.raise(Math.min(seq, this.#surroundings.store.lastSeq))
    this.#surroundings.onProgress()
  }

  /** The peer holds these entries of ours: they came from it. */
  gave(seqs: Iterable<number>): void {
    this.#acknowledged.add(seqs)
    this.#surroundings.onProgress()
  }

  /** Follows the peer's feed to its end, once; false when there is no link. Throws what the link throws. */
  catchUp(): Promise<boolean> {
    return this.#link ? this.#follow(this.#link, this.#pulled) : Promise.resolve(false)
  }

  /** Ends the link and the wish for one. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    void this.#link?.close()
    this.#retry.ring()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, connect, log, onProgress } = this.#surroundings
    const { signal } = this.#stopping
    let failures = 0
    let refused = ''
    const stopped = () => signal.aborted
    while (!stopped()) {
      let link: PeerLink | undefined
      try {
        link = await connect(this.member, signal)
        await this.#serve(link, () => (failures = 0))
      } catch (error) {
        const said = { peer: this.member.hsmId, reason: String(error) }
        // It gives what must not come here, and will again: nothing arrives from it until somebody sees to that.
        const isRefused = error instanceof HsmError && error.code === 'InvalidRequest'
        if (isRefused && said.reason !== refused) log.warn(said, 'what a peer gives is refused')
        else log.debug(said, 'no link to a peer')
        if (isRefused) refused = said.reason
      }
      this.#link = undefined
      await link?.close()
      if (stopped()) break
      onProgress()
      const longest = Math.min(RETRY_MIN_MS * 2 ** failures, RETRY_MAX_MS)
      failures = Math.min(failures + 1, 10)
      await this.#retry.wait(RETRY_MIN_MS + clock.random() * (longest - RETRY_MIN_MS))
    }
  }

  /** Uses a link until it breaks or the peer refuses. */
  async #serve(link: PeerLink, succeeded: () => void): Promise<void> {
    const { clusterId, incarnation, membership, log, onProgress, store } = this.#surroundings
    // What was written before is the peer's to pull; what is written from now on is ours to push.
    const cursor = store.lastSeq
    const welcome = await link.call('greet', { clusterId, incarnation, epoch: membership.epoch })
    if (this.#stopping.signal.aborted) return
    this.#meet(welcome.incarnation)
    this.#carries = welcome.carries ?? []
    if (welcome.epoch < membership.epoch && membership.signed) await link.call('membership', membership.signed)
    this.#link = link
    succeeded()
    log.info({ peer: this.member.hsmId }, 'linked to a peer')
    onProgress()
    const loops = [this.#pushNews(link, cursor), this.#pullNews(link)]
    try {
      await Promise.race([link.closed, ...loops])
    } finally {
      this.#link = undefined
      this.#caughtUp = false
      this.#followed = false
      await link.close()
      this.#written.ring()
      this.#pull.ring()
      const ends = await Promise.allSettled(loops)
      const why = ends.flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : []))
      log.info({ peer: this.member.hsmId, reason: why[0] }, 'link to a peer ended')
    }
  }

  async #pushNews(link: PeerLink, from: number): Promise<void> {
    const { hsmId, store, masking, admission } = this.#surroundings
    for (let cursor = from; this.#link === link;) {
      const records: SealedRecord[] = []
      const seqs: number[] = []
      let bytes = 0
      let others = false
      let last: ReturnType<Admission['pushed']> = 'with-others'
      for (const entry of store.feedAfter(cursor, BATCH_RECORDS)) {
        if (bytes > BATCH_BYTES) break
        const isNews = entry.version.hsmId === hsmId && !this.holds(entry.seq)
        const how = isNews ? admission.pushed(entry.path) : 'with-others'
        if (how !== 'with-others' && others) break
        cursor = entry.seq
        if (!isNews) continue
        const sealed = masking().seal(entry)
        bytes += sealed.sealed.length
        records.push(sealed)
        seqs.push(entry.seq)
        others ||= how === 'with-others'
        if (how === 'alone' || last === 'with-next') break
        last = how
      }
      if (records.length > 0) {
        await this.#push(link, records, seqs)
      } else if (cursor >= store.lastSeq) await this.#written.wait()
    }
  }

  /** A change that the peer refuses, or cannot tell yet, is not sent again: it pulls what is still so. */
  async #push(link: PeerLink, records: readonly SealedRecord[], seqs: readonly number[]): Promise<void> {
    const { admission, log, onProgress } = this.#surroundings
    try {
      await link.call('push', { records: [...records] })
      this.#acknowledged.add(seqs)
    } catch (error) {
      const judged = records.some(({ path }) => admission.judges(path))
      if (!judged || !(error instanceof HsmError) || !NOT_TAKEN.includes(error.code)) throw error
      const [first] = records
      const isOneChange = records.length === 1 || (first && admission.pushed(first.path) === 'with-next')
      if (!isOneChange) {
        // One of them it was: the others are not to wait for it.
        for (const [i, record] of records.entries()) await this.#push(link, [record], seqs.slice(i, i + 1))
        return
      }
      log.warn({ peer: this.member.hsmId, reason: error.message }, 'a peer did not take a change over')
      if (error.code !== 'Busy') for (const seq of seqs) this.#keepRefusal(seq, error)
    }
    onProgress()
  }

  #keepRefusal(seq: number, { code, message }: HsmError): void {
    this.#refused.set(seq, new HsmError(code, `${message}: HSM ${this.member.hsmId} did not take the change over`))
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size <= KEPT_REFUSALS) break
      this.#refused.delete(oldest)
    }
  }

  async #pullNews(link: PeerLink): Promise<void> {
    const { clock } = this.#surroundings
    for (let pulls = 1; this.#link === link; pulls++) {
      const whole = await this.#follow(link, pulls % PULLS_TO_SWEEP === 0 ? 0 : this.#pulled)
      this.#followed = this.#link === link
      if (whole && !this.#caughtUp) {
        this.#caughtUp = true
        this.#surroundings.onProgress()
      }
      await this.#pull.wait(PULL_MS * (0.75 + clock.random() / 2))
    }
  }

  #follow(link: PeerLink, from: number): Promise<boolean> {
    const { admission, store, masking, onProgress, onAuditHead } = this.#surroundings
    const followed = this.#pulling.then(() =>
      followFeed({
        link,
        from,
        store,
        masking: masking(),
        judged: { admission, source: this.source },
        auditHead: (head) => onAuditHead?.(this.member.hsmId, head),
        taken: (entries) => this.gave(entries.map(({ seq }) => seq)),
        reached: (seq) => {
          this.#pulled = Math.max(this.#pulled, seq)
          onProgress()
        },
      }),
    )
    this.#pulling = followed.then(
      () => undefined,
      () => undefined,
    )
    return followed
  }

  #meet(incarnation: string): void {
    if (incarnation === '') throw new HsmError('InvalidRequest', 'a store has a name')
    if (incarnation === this.#incarnation) return
    this.#incarnation = incarnation
    this.#pulled = 0
    this.#acknowledged.reset()
  }
}
