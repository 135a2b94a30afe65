/**
 * Several replicators in one process on a simulated clock, network and disk, driven by a seed: messages are delayed,
 * reordered, lost and delivered twice, links break, HSMs crash and come back with what was on their disk. Runs as fast as
 * it computes.
 */
import pino from 'pino'
import type { AuditHead } from '../../../../provider-schema/audit-file.ts'
import { clusterIdentity, encodeIdentity, IDENTITY_PATH } from '../../identity/cluster-identity.ts'
import type { OperationTable, ParamsOf, ResultOf } from '../../protocol/envelope.ts'
import { ConnectionLost } from '../../protocol/errors.ts'
import type { Member } from '../../protocol/values.ts'
import type { FleetPki } from '../../testing/pki.ts'
import type { Admission } from '../admission.ts'
import { joinCluster } from '../join.ts'
import { Membership } from '../membership.ts'
import { peerHandlers, type PeerCaller } from '../peer-handlers.ts'
import { peerOperations, type PeerOperations } from '../peer-operations.ts'
import type { PeerLink } from '../peer.ts'
import { Replicator } from '../replicator.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { memoryDisk, MemoryStore, type MemoryDisk } from './memory-store.ts'

export const CLUSTER_ID = 'cluster-1'

/** How bad the world is, in simulated milliseconds and probabilities. */
export interface Weather {
  /** Longest time a message is on its way. Messages overtake each other. */
  readonly delayMs: number
  /** That a message, or its answer, gets lost and its link breaks. */
  readonly loss: number
  /** That a message arrives a second time, some time after its first. */
  readonly duplication?: number
  /** Longest time a commit takes. */
  readonly diskMs: number
}

interface Running {
  readonly store: MemoryStore
  readonly membership: Membership
  readonly replicator: Replicator
  readonly handle: (op: string, params: unknown, caller: PeerCaller) => Promise<unknown>
  readonly links: Set<SimulatedLink>
  /** How far the audit logs of other HSMs are, as this one heard; each says of its own how long its feed is. */
  readonly auditHeads: Map<string, AuditHead>
}

export class SimulatedHsm {
  readonly id: string
  readonly disk: MemoryDisk = memoryDisk()
  running: Running | undefined
  /** Nothing gets out of or into an HSM that is frozen, and nobody is told. */
  frozen = false

  constructor(id: string) {
    this.id = id
  }
}

/** What looks at changes of other HSMs, on an HSM that starts. */
export type AdmissionOf = (hsm: SimulatedHsm, store: MemoryStore, inService: () => boolean) => Admission

export class SimulatedCluster {
  readonly clock: SimulatedClock
  readonly hsms: readonly SimulatedHsm[]
  weather: Weather
  readonly #pki: FleetPki
  readonly #admission: AdmissionOf | undefined
  readonly #severed = new Set<string>()
  #epoch = 0
  #members: readonly Member[] = []

  constructor(pki: FleetPki, options: { count: number; seed: number; weather: Weather; admission?: AdmissionOf }) {
    this.#pki = pki
    this.#admission = options.admission
    this.clock = new SimulatedClock(options.seed)
    this.weather = options.weather
    this.hsms = Array.from({ length: options.count }, (_, i) => new SimulatedHsm(`hsm-${i + 1}`))
  }

  /** Makes the HSMs of these ids the members, and tells those that run. */
  async setMembers(ids: readonly string[]): Promise<void> {
    this.#epoch += 1
    this.#members = ids.map((hsmId) => ({ hsmId, address: hsmId, eniIp: hsmId }))
    for (const { running } of this.hsms) {
      if (running) await this.#whileRunning(running.membership.accept(this.#signed(), CLUSTER_ID))
    }
  }

  /** Starts an HSM on its disk. `found` gives it a cluster first. */
  async start(hsm: SimulatedHsm, { found = false } = {}): Promise<Running> {
    const { clock } = this
    const store = new MemoryStore(hsm.id, hsm.disk, () => clock.sleep(clock.random() * this.weather.diskMs))
    const membership = new Membership(store.local, this.#pki.trust.controlCa)
    const identity = clusterIdentity(store)
    const links = new Set<SimulatedLink>()
    const connect = (member: Member) => this.#connect(hsm, member)
    const log = pino({ level: 'silent' })
    const auditHeads = new Map<string, AuditHead>()
    const onAuditHead = (id: string, head: AuditHead) => void auditHeads.set(id, head)
    const admission = this.#admission?.(hsm, store, () => identity.current !== undefined)
    const parts = { hsmId: hsm.id, store, identity, membership, connect, clock, onAuditHead, log }
    const begun = Replicator.start({ ...parts, ...(admission && { admission }) })
    const replicator = await this.#whileRunning(begun)
    await this.#whileRunning(membership.accept(this.#signed(), CLUSTER_ID))
    if (found) {
      const nothing = new Uint8Array(1)
      const value = encodeIdentity({
        clusterId: CLUSTER_ID,
        hsmType: 'hsm2m.medium',
        mode: 'FIPS',
        maskingKey: new Uint8Array(32),
        clusterKey: nothing,
        csr: '',
      })
      await this.#whileRunning(store.write([{ path: IDENTITY_PATH, value }]))
    }
    const auditHead = () => ({ events: store.lastSeq, hash: '0'.repeat(64) })
    const handlers = peerHandlers({ store, identity, membership, replicator, auditHead })
    const byName = new Map<string, (params: never, from: { context: PeerCaller }) => unknown>(Object.entries(handlers))
    hsm.running = {
      store,
      membership,
      replicator,
      links,
      auditHeads,
      // As the dispatcher of a port does it, but for TLS and frames.
      handle: (op, params, context) =>
        Promise.try(() => {
          const { [op]: spec }: OperationTable = peerOperations
          return byName.get(op)?.(spec?.params.parse(params) as never, { context })
        }),
    }
    return hsm.running
  }

  /** Fills a blank HSM from the members. */
  join(hsm: SimulatedHsm): Promise<void> {
    const { running } = hsm
    if (!running) throw new Error(`${hsm.id} does not run`)
    return joinCluster({
      clusterId: CLUSTER_ID,
      members: this.#members.filter(({ hsmId }) => hsmId !== hsm.id),
      store: running.store,
      connect: (member) => this.#connect(hsm, member),
      log: pino({ level: 'silent' }),
    })
  }

  /** What kill -9 does. */
  crash(hsm: SimulatedHsm): void {
    const { running } = hsm
    if (!running) return
    hsm.running = undefined
    running.store.crash()
    for (const link of [...running.links]) link.break()
    void running.replicator.stop()
  }

  /** Nothing gets through between two HSMs, until `heal`. Neither is told. */
  sever(one: SimulatedHsm, other: SimulatedHsm): void {
    this.#severed.add(pair(one.id, other.id))
  }

  heal(): void {
    this.#severed.clear()
    for (const hsm of this.hsms) hsm.frozen = false
  }

  #signed() {
    return this.#pki.signMembership({ clusterId: CLUSTER_ID, epoch: this.#epoch, members: [...this.#members] })
  }

  /** Start-up steps wait for the simulated disk. */
  async #whileRunning<Result>(work: Promise<Result>): Promise<Result> {
    await this.clock.runUntil(work)
    return work
  }

  async #connect(from: SimulatedHsm, member: Member): Promise<PeerLink> {
    await this.clock.sleep(this.clock.random() * this.weather.delayMs)
    const to = this.hsms.find(({ id }) => id === member.hsmId)
    const reachable = to && !this.#severed.has(pair(from.id, to.id))
    const here = from.running
    const there = to?.running
    if (!reachable || !here || !there) throw new ConnectionLost('nobody answers')
    if (!there.membership.includes(from.id)) throw new ConnectionLost('refused')
    const link: SimulatedLink = new SimulatedLink(this, {
      to: there,
      caller: { hsmId: from.id, greeted: false },
      passes: () => !this.#severed.has(pair(from.id, to.id)) && !to.frozen && !from.frozen,
      over: () => {
        here.links.delete(link)
        there.links.delete(link)
      },
    })
    here.links.add(link)
    there.links.add(link)
    return link
  }
}

interface Ends {
  readonly to: Running
  readonly caller: PeerCaller
  /** Whether a message gets through at this moment. */
  readonly passes: () => boolean
  readonly over: () => void
}

const CALL_TIMEOUT_MS = 2_000

class SimulatedLink implements PeerLink {
  readonly closed: Promise<Error | undefined>
  readonly #cluster: SimulatedCluster
  readonly #ends: Ends
  readonly #broken = Promise.withResolvers<never>()
  readonly #closed = Promise.withResolvers<Error | undefined>()

  constructor(cluster: SimulatedCluster, ends: Ends) {
    this.#cluster = cluster
    this.#ends = ends
    this.closed = this.#closed.promise
    this.#broken.promise.catch(() => undefined)
  }

  call<Op extends keyof PeerOperations>(
    op: Op,
    params: ParamsOf<PeerOperations, Op>,
  ): Promise<ResultOf<PeerOperations, Op>> {
    const timeout = this.#cluster.clock.setTimer(CALL_TIMEOUT_MS, () => this.break())
    const answered = this.#exchange(op, params).finally(timeout)
    answered.catch(() => undefined)
    return Promise.race([answered, this.#broken.promise]) as Promise<ResultOf<PeerOperations, Op>>
  }

  close(): Promise<void> {
    this.break()
    return Promise.resolve()
  }

  break(): void {
    const error = new ConnectionLost('the link broke')
    this.#broken.reject(error)
    this.#closed.resolve(error)
    this.#ends.over()
  }

  async #exchange(op: string, params: unknown): Promise<unknown> {
    await this.#travel()
    this.#perhapsAgain(op, params)
    const result = await this.#ends.to.handle(op, params, this.#ends.caller).then(
      (ok) => ({ ok }),
      (error: unknown) => ({ error }),
    )
    await this.#travel()
    if ('error' in result) throw result.error
    return result.ok
  }

  /** A second arrival, whose answer nobody waits for: what a caller causes that asks again after its link broke. */
  #perhapsAgain(op: string, params: unknown): void {
    const { clock, weather } = this.#cluster
    if (clock.random() >= (weather.duplication ?? 0)) return
    clock.setTimer(clock.random() * 10 * weather.delayMs, () => {
      this.#ends.to.handle(op, params, this.#ends.caller).catch(() => undefined)
    })
  }

  async #travel(): Promise<void> {
    const { clock, weather } = this.#cluster
    await clock.sleep(clock.random() * weather.delayMs)
    if (clock.random() < weather.loss) this.break()
    // Neither lost messages nor those into a partition come back with news: the caller's time runs out.
    if (!this.#ends.passes()) await new Promise<never>(() => undefined)
    await Promise.race([Promise.resolve(), this.#broken.promise])
  }
}

function pair(one: string, other: string): string {
  return [one, other].sort().join(' ')
}
