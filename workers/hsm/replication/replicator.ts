/**
 * Keeps this HSM and the others of its cluster the same. Every HSM is equal; nothing here knows of sockets or of the
 * time of day, so that a simulated network can drive it.
 */
import { randomUUID } from 'node:crypto'
import { Packr } from 'msgpackr'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { AuditHead } from '../../../provider-schema/audit-file.ts'
import { takeAll, type Admission } from './admission.ts'
import type { ClusterIdentity, IdentityRecord } from '../identity/cluster-identity.ts'
import type { Member } from '../protocol/values.ts'
import type { HsmError } from '../protocol/errors.ts'
import type { FeedEntry, RecordStore } from '../vault/record-store.ts'
import type { Clock } from './clock.ts'
import { maskingWith, type Masking } from './masking.ts'
import type { Membership } from './membership.ts'
import { Peer, type PeerLink, type PeerPosition } from './peer.ts'
import type { Replication } from './replication.ts'

const INCARNATION = 'replication/incarnation'
const POSITIONS = 'replication/positions'
/** Positions that a crash loses are found again by pulling more: they need not be written often. */
const SAVE_POSITIONS_MS = 2_000

const packr = new Packr({ useRecords: false })
const positionsShape = z.record(
  z.string(),
  z.object({ incarnation: z.string(), pulled: z.number(), acknowledged: z.number() }),
)

export interface ReplicatorOptions {
  readonly hsmId: string
  readonly store: RecordStore
  readonly identity: ClusterIdentity
  readonly membership: Membership
  /** Connects to a member's peer port and makes sure that it is that member. */
  readonly connect: (member: Member, signal: AbortSignal) => Promise<PeerLink>
  readonly clock: Clock
  /** What looks at changes of other HSMs; all are taken over when left out. */
  readonly admission?: Admission
  /** Told how far another HSM's audit log is. */
  readonly onAuditHead?: (hsmId: string, head: AuditHead) => void
  readonly log: Logger
}

export class Replicator implements Replication {
  readonly incarnation: string
  readonly admission: Admission
  readonly #options: ReplicatorOptions
  readonly #peers = new Map<string, Peer>()
  readonly #leaving = new Set<Promise<void>>()
  readonly #waiting = new Set<() => void>()
  #positions: Record<string, PeerPosition>
  #masked: { readonly by: IdentityRecord; readonly masking: Masking } | undefined
  #cancelSave: (() => void) | undefined
  #saving: Promise<void> = Promise.resolve()
  #stopped = false

  private constructor(options: ReplicatorOptions, incarnation: string, positions: Record<string, PeerPosition>) {
    this.#options = options
    this.incarnation = incarnation
    this.admission = options.admission ?? takeAll(options.store)
    this.#positions = positions
    options.membership.onChange(() => this.#seekPeers())
    options.identity.onChange(() => this.#seekPeers())
    options.store.onCommit((_, origin) => {
      if (origin === 'local') for (const peer of this.#peers.values()) peer.written()
    })
    this.#seekPeers()
  }

  /** Begins to keep up with the members that the list names, as soon as and as long as it names this HSM. */
  static async start(options: ReplicatorOptions): Promise<Replicator> {
    const { local } = options.store
    const kept = local.get(INCARNATION)
    const incarnation = kept ? Buffer.from(kept).toString('utf8') : randomUUID()
    if (!kept) await local.put(INCARNATION, Buffer.from(incarnation))
    const positions = local.get(POSITIONS)
    return new Replicator(options, incarnation, positions ? positionsShape.parse(packr.unpack(positions)) : {})
  }

  /** Ids of members with a working link. */
  get connected(): string[] {
    return this.#idsOf((peer) => peer.connected)
  }

  /** Ids of linked members that hold everything this HSM holds. */
  get inSync(): string[] {
    return this.#idsOf((peer) => peer.inSync)
  }

  /** Seals and opens records under the cluster's masking key; undefined while there is no cluster. */
  get masking(): Masking | undefined {
    const by = this.#options.identity.current
    if (!by) return undefined
    if (this.#masked?.by !== by) this.#masked = { by, masking: maskingWith(by.maskingKey) }
    return this.#masked.masking
  }

  get writesLimited(): boolean {
    return this.#options.membership.limitedWrites
  }

  /** The peer of this id, if it is a member and so is this HSM. */
  peer(hsmId: string): Peer | undefined {
    return this.#peers.get(hsmId)
  }

  members(): readonly Member[] {
    return this.#options.membership.members
  }

  onMembersChanged(listener: (members: readonly Member[]) => void): void {
    this.#options.membership.onChange(listener)
  }

  async spread(entries: readonly FeedEntry[], timeoutMs: number): Promise<number> {
    const holds = (peer: Peer) => entries.every(({ seq }) => peer.holds(seq))
    const refuses = (peer: Peer) => peer.refusalOf(entries) !== undefined
    await this.#until(() => this.#all((peer) => !peer.connected || holds(peer) || refuses(peer)), timeoutMs)
    return 1 + this.#idsOf(holds).length
  }

  refusalOf(entries: readonly FeedEntry[]): HsmError | undefined {
    return [...this.#peers.values()].map((peer) => peer.refusalOf(entries)).find((refusal) => refusal !== undefined)
  }

  copies(seq: number): number {
    return 1 + this.#idsOf((peer) => peer.holds(seq)).length
  }

  /** Waits until every linked member holds everything, or until the time is over. */
  async settle(timeoutMs: number): Promise<void> {
    await this.#until(() => this.#all((peer) => !peer.connected || peer.inSync), timeoutMs)
  }

  /** Waits until this HSM and every other member are linked both ways and the same, or until the time is over. */
  async meet(timeoutMs: number): Promise<void> {
    await this.#until(() => this.#all((peer) => peer.settled), timeoutMs)
  }

  async catchUp(timeoutMs: number): Promise<number> {
    let done = false
    let followed = 0
    const pulls = [...this.#peers.values()].map(async (peer) => {
      if (await peer.catchUp()) followed += 1
    })
    void Promise.allSettled(pulls).then(() => {
      done = true
      this.#progressed()
    })
    await this.#until(() => done, timeoutMs)
    return 1 + followed
  }

  /** Ends every link. Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const id of [...this.#peers.keys()]) this.#part(id)
    await Promise.all(this.#leaving)
    await this.#saving
    if (this.#cancelSave) {
      this.#cancelSave()
      this.#save()
      await this.#saving
    }
  }

  /** Links to the members that the newest list names, and to no one else. */
  #seekPeers(): void {
    const { hsmId, store, identity, membership, connect, clock, onAuditHead, log } = this.#options
    const clusterId = identity.current?.clusterId
    const belongs = clusterId !== undefined && membership.clusterId === clusterId && membership.includes(hsmId)
    const members = belongs && !this.#stopped ? membership.members.filter((member) => member.hsmId !== hsmId) : []
    for (const [id, peer] of this.#peers) {
      const member = members.find((candidate) => candidate.hsmId === id)
      if (member?.address !== peer.member.address) this.#part(id)
    }
    for (const member of members) {
      if (this.#peers.has(member.hsmId)) continue
      const peer = new Peer(member, this.#positions[member.hsmId], {
        hsmId,
        incarnation: this.incarnation,
        clusterId: membership.clusterId ?? '',
        store,
        masking: () => this.#requireMasking(),
        membership,
        connect,
        clock,
        admission: this.admission,
        onAuditHead,
        log,
        onProgress: () => this.#progressed(),
      })
      this.#peers.set(member.hsmId, peer)
    }
    this.#progressed()
  }

  #part(id: string): void {
    const peer = this.#peers.get(id)
    if (!peer) return
    this.#positions[id] = peer.position
    this.#peers.delete(id)
    const left = peer.stop().finally(() => this.#leaving.delete(left))
    this.#leaving.add(left)
  }

  #requireMasking(): Masking {
    const masking = this.masking
    if (!masking) throw new Error('there is no cluster to seal records for')
    return masking
  }

  #progressed(): void {
    for (const look of [...this.#waiting]) look()
    if (this.#stopped || this.#cancelSave) return
    this.#cancelSave = this.#options.clock.setTimer(SAVE_POSITIONS_MS, () => this.#save())
  }

  #save(): void {
    this.#cancelSave = undefined
    for (const [id, peer] of this.#peers) this.#positions[id] = peer.position
    const { members } = this.#options.membership
    const known = Object.entries(this.#positions).filter(([id]) => members.some(({ hsmId }) => hsmId === id))
    const positions = packr.pack(Object.fromEntries(known))
    const { log, store } = this.#options
    const kept = store.local.get(POSITIONS)
    if (kept && Buffer.from(kept).equals(positions)) return
    this.#saving = store.local
      .put(POSITIONS, positions)
      .catch((error: unknown) => log.warn({ reason: String(error) }, 'positions of peers were not saved'))
  }

  #until(holds: () => boolean, timeoutMs: number): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        this.#waiting.delete(look)
        cancel()
        resolve()
      }
      const look = () => {
        if (holds()) end()
      }
      const cancel = this.#options.clock.setTimer(timeoutMs, end)
      this.#waiting.add(look)
    })
  }

  #all(holds: (peer: Peer) => boolean): boolean {
    return [...this.#peers.values()].every(holds)
  }

  #idsOf(holds: (peer: Peer) => boolean): string[] {
    return [...this.#peers].flatMap(([id, peer]) => (holds(peer) ? [id] : []))
  }
}
