/**
 * A real HSM's store, keys and replicator in this process, on a disk and in real time, linked to others without sockets:
 * each call is answered in a later turn of the event loop, and calls, their bytes and the records of each turn are
 * counted. For what is about amounts, which need neither TLS nor other processes.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Packr } from 'msgpackr'
import pino from 'pino'
import { clusterIdentity } from '../../identity/cluster-identity.ts'
import type { OperationTable, ParamsOf, ResultOf } from '../../protocol/envelope.ts'
import { ConnectionLost } from '../../protocol/errors.ts'
import type { Member } from '../../protocol/values.ts'
import type { FleetPki } from '../../testing/pki.ts'
import { Keys } from '../../vault/keys.ts'
import type { RecordStore } from '../../vault/record-store.ts'
import { sealKeyOf } from '../../vault/seal.ts'
import { openSealedStore } from '../../vault/sealed-store.ts'
import { systemClock } from '../clock.ts'
import { joinCluster } from '../join.ts'
import { Membership } from '../membership.ts'
import { peerHandlers, type PeerCaller } from '../peer-handlers.ts'
import { peerOperations, type PeerOperations } from '../peer-operations.ts'
import type { PeerLink } from '../peer.ts'
import { Replicator } from '../replicator.ts'

export const CLUSTER_ID = 'cluster-counted'
const packr = new Packr({ useRecords: false })
const log = pino({ level: 'silent' })

/** What went over links that one HSM made. */
export interface Traffic {
  readonly calls: Partial<Record<keyof PeerOperations, number>>
  /** Of parameters and results as msgpack. */
  bytes: number
}

export interface RunningHsm {
  readonly store: RecordStore
  readonly keys: Keys
  readonly membership: Membership
  readonly replicator: Replicator
  readonly handle: (op: string, params: unknown, caller: PeerCaller) => unknown
  readonly links: Set<CountedLink>
  readonly traffic: Traffic
}

export class CountedHsm {
  readonly id: string
  readonly directory: string
  /** Most records that were taken over between two turns of the event loop, since the last start. */
  mostInOneTurn = 0
  /** Records that were taken over from peers since the last start. */
  taken = 0
  readonly #pki: FleetPki
  readonly #all: ReadonlyMap<string, CountedHsm>
  #running: RunningHsm | undefined
  #turn: NodeJS.Immediate | undefined
  #inThisTurn = 0

  constructor(id: string, directory: string, pki: FleetPki, all: ReadonlyMap<string, CountedHsm>) {
    this.id = id
    this.directory = directory
    this.#pki = pki
    this.#all = all
  }

  get running(): RunningHsm {
    if (!this.#running) throw new Error(`${this.id} does not run`)
    return this.#running
  }

  async start(): Promise<RunningHsm> {
    const sealKey = await sealKeyOf(this.directory)
    const store = await openSealedStore({ directory: this.directory, sealKey, hsmId: this.id })
    const identity = clusterIdentity(store)
    const membership = new Membership(store.local, this.#pki.trust.controlCa)
    const links = new Set<CountedLink>()
    const traffic: Traffic = { calls: {}, bytes: 0 }
    const connect = (member: Member) => this.#connect(member)
    const begun = { hsmId: this.id, store, identity, membership, connect, clock: systemClock, log }
    const replicator = await Replicator.start(begun)
    const keys = new Keys({
      store,
      replication: replicator,
      hsmType: () => 'hsm2m.medium',
      userExists: () => true,
      isCryptoUser: () => true,
      keySeparation: 'trusted',
    })
    this.mostInOneTurn = 0
    this.taken = 0
    store.onCommit((entries, origin) => {
      if (origin === 'peer') this.#countTurn(entries.length)
    })
    const byName = new Map<string, (params: never, from: { context: PeerCaller }) => unknown>(
      Object.entries(peerHandlers({ store, identity, membership, replicator })),
    )
    const handle = (op: string, params: unknown, context: PeerCaller) => {
      const { [op]: spec }: OperationTable = peerOperations
      return byName.get(op)?.(spec?.params.parse(params) as never, { context })
    }
    this.#running = { store, keys, membership, replicator, handle, links, traffic }
    return this.#running
  }

  /** The newest list of members. */
  async accept(epoch: number, ids: readonly string[]): Promise<void> {
    const members = ids.map((hsmId) => ({ hsmId, address: hsmId, eniIp: hsmId }))
    await this.running.membership.accept(
      this.#pki.signMembership({ clusterId: CLUSTER_ID, epoch, members }),
      CLUSTER_ID,
    )
  }

  join(): Promise<void> {
    const { membership, store } = this.running
    const members = membership.members.filter(({ hsmId }) => hsmId !== this.id)
    return joinCluster({ clusterId: CLUSTER_ID, members, store, connect: (member) => this.#connect(member), log })
  }

  async stop(): Promise<void> {
    const running = this.#running
    if (!running) return
    this.#running = undefined
    for (const link of [...running.links]) await link.close()
    await running.replicator.stop()
    await running.store.close()
  }

  async #connect(member: Member): Promise<PeerLink> {
    await turn()
    const here = this.#running
    const peer = this.#all.get(member.hsmId)
    const there = peer && peer.#running
    if (!here || !there?.membership.includes(this.id)) throw new ConnectionLost('nobody answers')
    const link: CountedLink = new CountedLink(here, there, this.id, () => {
      here.links.delete(link)
      there.links.delete(link)
    })
    here.links.add(link)
    there.links.add(link)
    return link
  }

  #countTurn(records: number): void {
    this.taken += records
    this.#inThisTurn += records
    this.mostInOneTurn = Math.max(this.mostInOneTurn, this.#inThisTurn)
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined
      this.#inThisTurn = 0
    })
  }
}

class CountedLink implements PeerLink {
  readonly closed: Promise<Error | undefined>
  readonly #closed = Promise.withResolvers<Error | undefined>()
  readonly #here: RunningHsm
  readonly #there: RunningHsm
  readonly #caller: PeerCaller
  readonly #over: () => void

  constructor(here: RunningHsm, there: RunningHsm, hsmId: string, over: () => void) {
    this.#here = here
    this.#there = there
    this.#caller = { hsmId, greeted: false }
    this.#over = over
    this.closed = this.#closed.promise
  }

  async call<Op extends keyof PeerOperations>(
    op: Op,
    params: ParamsOf<PeerOperations, Op>,
  ): Promise<ResultOf<PeerOperations, Op>> {
    const { traffic } = this.#here
    traffic.calls[op] = (traffic.calls[op] ?? 0) + 1
    await turn()
    const over = this.closed.then((error) => Promise.reject(error ?? new ConnectionLost('the link was closed')))
    const answered = Promise.try(() => this.#there.handle(op, params, this.#caller))
    const result = peerOperations[op].result.parse(await Promise.race([answered, over]))
    traffic.bytes += packr.pack(params).length + packr.pack(result).length
    await turn()
    return result as ResultOf<PeerOperations, Op>
  }

  close(): Promise<void> {
    this.#closed.resolve(new ConnectionLost('the link was closed'))
    this.#over()
    return Promise.resolve()
  }
}

/** HSMs of one cluster, not started; the first is to be founded by who calls. Ends all of them. */
export async function withHsms(
  pki: FleetPki,
  ids: readonly string[],
  work: (hsms: readonly CountedHsm[]) => Promise<void>,
): Promise<void> {
  const all = new Map<string, CountedHsm>()
  for (const id of ids) {
    const directory = await mkdtemp(join(tmpdir(), 'counted-hsm-'))
    all.set(id, new CountedHsm(id, directory, pki, all))
  }
  try {
    await work([...all.values()])
  } finally {
    for (const hsm of all.values()) {
      await hsm.stop()
      await rm(hsm.directory, { recursive: true, force: true })
    }
  }
}

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))
