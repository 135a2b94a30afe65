/**
 * A world of simulated HSMs, store and regions, for tests of the jobs alone.
 *
 * A fake, because these tests break each step in every way there is, hundreds of times: with real processes that would
 * take an hour. What it simulates is the contract of `ports.ts` and of the management port; that the real ones keep the
 * same contract is shown by `test/jobs-kill.e2e.test.ts`, which runs the same transitions on real HSM processes.
 */
import type { BackupId, HsmId } from '../../../provider-schema/ids.ts'
import { ConnectionLost, HsmError } from '../../hsm/protocol/errors.ts'
import type { ParamsOf, ResultOf } from '../../hsm/protocol/envelope.ts'
import {
  membershipDocument,
  type HsmPhase,
  type ManagementOperations,
  type MembershipDocument,
  type SignedMembership,
} from '../../hsm/protocol/management-operations.ts'
import type { HostPort, HsmToRun, ManagementConnection, Ports } from '../ports.ts'
import { attempt, digestOf } from './simulated-calls.ts'
import { simulatedRegions, type SimulatedRegions } from './simulated-regions.ts'

/** One simulated HSM: the content is a set of words, standing for users and keys. */
export interface SimulatedHsm {
  readonly id: HsmId
  readonly hostId: string
  running: boolean
  /** Its store cannot be opened. */
  damaged?: boolean
  certified: boolean
  phase: HsmPhase
  /** How often it was asked how it is. */
  looks: number
  clusterId?: string
  content: Set<string>
  membership?: MembershipDocument
  draining: boolean
  sealed: Map<string, Buffer>
  incoming: Map<string, Buffer>
  /** Who logged in of late. */
  clients?: { readonly client: string; readonly seenAt: number }[]
}

/** One simulated host. It is made when it is first spoken of. */
export interface SimulatedHost {
  /** It hears and does nothing. Its HSMs may run on. */
  silent: boolean
  /** Addresses that it can bind; all, while undefined. */
  addresses?: readonly string[]
  /** What it was asked for while it was silent. */
  readonly orders: (() => void)[]
}

export interface SimulatedWorld {
  readonly ports: Ports
  readonly hosts: { on(hostId: string): SimulatedHost }
  /** The host goes with all HSMs on it, as a machine that lost its power. */
  loseHost(hostId: string): void
  /** It is back and does what it was asked for meanwhile; HSMs that are left run again. */
  returnHost(hostId: string): void
  readonly hsms: Map<HsmId, SimulatedHsm>
  /** Directories that were set aside. */
  readonly aside: Set<HsmId>
  readonly store: Map<BackupId, Buffer>
  readonly copies: SimulatedRegions['copies']
  /** Makes the next calls of this name fail: a port's method or a management operation. */
  failNext(name: string, times?: number): void
}

type Handlers = {
  [Op in keyof ManagementOperations]: (
    params: ParamsOf<ManagementOperations, Op>,
  ) => ResultOf<ManagementOperations, Op> | Promise<ResultOf<ManagementOperations, Op>>
}

export function simulatedWorld(): SimulatedWorld {
  const hsms = new Map<HsmId, SimulatedHsm>()
  const store: SimulatedWorld['store'] = new Map()
  const aside: SimulatedWorld['aside'] = new Set()
  const failures = new Map<string, number>()

  const trip = (name: string) => {
    const left = failures.get(name) ?? 0
    if (left <= 0) return
    failures.set(name, left - 1)
    throw new ConnectionLost(`simulated failure of ${name}`)
  }
  const regions = simulatedRegions(trip)

  const simulatedHosts = new Map<string, SimulatedHost>()
  const simulatedHost = (id: string): SimulatedHost => {
    const host = simulatedHosts.get(id) ?? { silent: false, orders: [] }
    simulatedHosts.set(id, host)
    return host
  }
  const onHost = (hostId: string) => [...hsms.values()].filter((hsm) => hsm.hostId === hostId)

  const hostPort = (hostId: string): HostPort => ({
    addressFor: ({ eniIp, listenIp }, taken) =>
      attempt(() => {
        const { addresses } = simulatedHost(hostId)
        const chosen = addresses?.includes(listenIp) === false ? addresses.find((each) => !taken.has(each)) : listenIp
        if (chosen === undefined) throw new Error('no address is left')
        return { eniIp: eniIp === listenIp ? chosen : eniIp, listenIp: chosen }
      }),
    ensureRunning: (hsm: HsmToRun) =>
      attempt(() => {
        trip('ensureRunning')
        if (simulatedHost(hostId).silent) throw new Error(`${hostId} is silent`)
        const known = hsms.get(hsm.id)
        // What a silent host may still have of the same HSM, nobody can reach.
        if (known?.hostId === hostId) known.running = true
        else hsms.set(hsm.id, blankHsm(hsm.id, hostId))
      }),
    certify: (hsm) =>
      attempt(() => {
        trip('certify')
        const process = hsms.get(hsm.id)
        if (!process?.running || process.hostId !== hostId) throw new Error(`${hsm.id} does not run on ${hostId}`)
        process.certified = true
        return { awsHardwareCertificate: `aws ${hsm.id}\n`, manufacturerHardwareCertificate: `maker ${hsm.id}\n` }
      }),
    condition: (id) =>
      attempt(() => {
        if (simulatedHost(hostId).silent) return { kind: 'cut-off', why: `Its host ${hostId} is silent.` }
        const hsm = hsms.get(id)
        if (hsm?.hostId !== hostId) return { kind: 'lost', why: 'The directory of the HSM is gone.' }
        if (hsm.damaged) return { kind: 'lost', why: 'The store cannot be opened.' }
        return hsm.phase === 'zeroised' ? { kind: 'zeroised', why: 'The keys are destroyed.' } : { kind: 'running' }
      }),
    remove: (id) =>
      attempt(() => {
        trip('remove')
        order(hostId, () => {
          if (hsms.get(id)?.hostId === hostId) hsms.delete(id)
        })
      }),
    setAside: (id) =>
      attempt(() => {
        trip('setAside')
        order(hostId, () => {
          if (hsms.get(id)?.hostId === hostId && hsms.delete(id)) aside.add(id)
        })
      }),
  })

  const order = (hostId: string, work: () => void) => {
    const { silent, orders } = simulatedHost(hostId)
    if (silent) orders.push(work)
    else work()
  }

  const connect = (id: HsmId): ManagementConnection => {
    trip('connect')
    const hsm = hsms.get(id)
    if (!hsm?.running || !hsm.certified) throw new ConnectionLost(`${id} does not answer`)
    const handlers = handlersOf(hsm, hsms)
    let usable = true
    return {
      get usable() {
        return usable && hsm.running
      },
      close: () => {
        usable = false
        return Promise.resolve()
      },
      call: async (op, params) => {
        trip(op)
        if (!hsm.running) throw new ConnectionLost(`${id} does not answer`)
        return handlers[op](params)
      },
    }
  }

  return {
    hsms,
    aside,
    store,
    copies: regions.copies,
    failNext: (name, times = 1) => void failures.set(name, times),
    hosts: { on: simulatedHost },
    loseHost: (hostId) => {
      simulatedHost(hostId).silent = true
      for (const hsm of onHost(hostId)) hsm.running = false
    },
    returnHost: (hostId) => {
      const host = simulatedHost(hostId)
      host.silent = false
      for (const work of host.orders.splice(0)) work()
      for (const hsm of onHost(hostId)) hsm.running = true
    },
    ports: {
      hosts: { on: hostPort },
      hsms: {
        connect: (hsm) => attempt(() => connect(hsm.id)),
        signMembership: (document) => ({
          document: Buffer.from(JSON.stringify(document)),
          signature: Buffer.from('signed'),
          chain: 'chain',
        }),
      },
      backups: {
        put: async (id, content) => {
          trip('put')
          const bytes = Buffer.concat(await Array.fromAsync(content))
          store.set(id, bytes)
          return { size: bytes.length, digest: digestOf(bytes) }
        },
        read: async function* (id, offset = 0) {
          const bytes = await Promise.resolve(store.get(id))
          if (!bytes) throw new Error(`no ${id}`)
          yield bytes.subarray(offset)
        },
        verify: (id) =>
          attempt(() => {
            trip('verify')
            const bytes = store.get(id)
            return bytes && { size: bytes.length, digest: digestOf(bytes) }
          }),
        remove: (id) => attempt(() => void store.delete(id)),
      },
      regions: regions.port,
    },
  }
}

/** Members that run, know this HSM as one, and hold the same. */
function peersOf(hsm: SimulatedHsm, all: ReadonlyMap<string, SimulatedHsm>): HsmId[] {
  const ids = hsm.membership?.members.map(({ hsmId }) => hsmId) ?? []
  return ids.flatMap((id) => {
    const peer = id === hsm.id ? undefined : all.get(id)
    const knowsIt = peer?.membership?.members.some(({ hsmId }) => hsmId === hsm.id)
    return peer?.running && knowsIt && peer.content.symmetricDifference(hsm.content).size === 0 ? [peer.id] : []
  })
}

function blankHsm(id: HsmId, hostId: string): SimulatedHsm {
  return {
    id,
    hostId,
    running: true,
    certified: false,
    phase: 'blank',
    looks: 0,
    content: new Set(),
    draining: false,
    sealed: new Map(),
    incoming: new Map(),
  }
}

function handlersOf(hsm: SimulatedHsm, all: ReadonlyMap<string, SimulatedHsm>): Handlers {
  const takeMembership = (signed: SignedMembership) => {
    const document = membershipDocument.parse(JSON.parse(Buffer.from(signed.document).toString()))
    if (document.epoch >= (hsm.membership?.epoch ?? 0)) hsm.membership = document
    return document
  }
  return {
    health: () => {
      hsm.looks += 1
      return {
        hsmId: hsm.id,
        pid: 1,
        version: 'simulated',
        phase: hsm.phase,
        clusterId: hsm.clusterId,
        membershipEpoch: hsm.membership?.epoch ?? 0,
        peersConnected: peersOf(hsm, all),
        peersInSync: peersOf(hsm, all),
        keys: hsm.content.size,
        users: 0,
        sessions: 0,
        draining: hsm.draining,
        uptimeSeconds: 1,
        ...(hsm.clients && { clients: hsm.clients }),
      }
    },
    inventory: () => ({
      records: hsm.content.size,
      keys: hsm.content.size,
      users: 0,
      digest: digestOf(Buffer.from(JSON.stringify([...hsm.content].toSorted()))),
    }),
    found: ({ clusterId, membership }) => {
      takeMembership(membership)
      hsm.clusterId = clusterId
      if (hsm.phase === 'blank') hsm.phase = 'founded'
      return { csr: `csr of ${hsm.id}\n`, hsmCertificate: `certificate of ${hsm.id}\n` }
    },
    'install-certificate': ({ clusterCertificate }) => {
      if (clusterCertificate === 'bad') throw new HsmError('CertificateInvalid', 'the key is not ours')
      if (hsm.phase === 'founded') hsm.phase = 'initialized'
      return {}
    },
    membership: (signed) => {
      takeMembership(signed)
      return { epoch: hsm.membership?.epoch ?? 0 }
    },
    join: ({ clusterId, membership }) => {
      const document = takeMembership(membership)
      const from = document.members.map((member) => all.get(member.hsmId)).find((other) => other && other !== hsm)
      if (!from?.membership?.members.some((member) => member.hsmId === hsm.id)) {
        throw new HsmError('PermissionDenied', 'the member does not know this HSM')
      }
      hsm.clusterId = clusterId
      hsm.phase = from.phase
      hsm.content = new Set(from.content)
      return { phase: hsm.phase }
    },
    'backup-begin': ({ backupId }) => {
      const sealed = hsm.sealed.get(backupId) ?? Buffer.from(JSON.stringify([...hsm.content]))
      hsm.sealed.set(backupId, sealed)
      return { size: sealed.length, digest: digestOf(sealed) }
    },
    'backup-read': ({ backupId, offset, length }) => ({
      bytes: (hsm.sealed.get(backupId) ?? Buffer.alloc(0)).subarray(offset, offset + length),
    }),
    'backup-end': ({ backupId }) => {
      hsm.sealed.delete(backupId)
      return {}
    },
    'restore-begin': ({ backupId }) => ({ offset: hsm.incoming.get(backupId)?.length ?? 0 }),
    'restore-write': ({ backupId, offset, bytes }) => {
      const before = hsm.incoming.get(backupId) ?? Buffer.alloc(0)
      if (before.length !== offset) throw new HsmError('InvalidRequest', 'wrong offset')
      hsm.incoming.set(backupId, Buffer.concat([before, bytes]))
      return { offset: offset + bytes.length }
    },
    'restore-commit': ({ backupId, clusterId, membership }) => {
      takeMembership(membership)
      const bytes = hsm.incoming.get(backupId)?.toString() ?? ''
      if (!bytes.startsWith('[')) throw new HsmError('BackupInvalid', 'the seal does not fit')
      hsm.clusterId = clusterId
      hsm.phase = 'active'
      hsm.content = new Set(JSON.parse(bytes) as string[])
      return { phase: hsm.phase, clusterCertificate: 'restored certificate\n', trustAnchor: 'restored anchor\n' }
    },
    drain: () => {
      hsm.draining = true
      return {}
    },
    resume: () => {
      hsm.draining = false
      return {}
    },
    zeroise: () => {
      hsm.phase = 'zeroised'
      hsm.running = false
      hsm.content.clear()
      return {}
    },
  }
}
