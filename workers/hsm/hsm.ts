/** An HSM: its parts put together, started and stopped in the right order. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { AuditLog } from './audit/audit-log.ts'
import { SeenClients } from './client-port/seen-clients.ts'
import type { AuditEvent } from './audit/event.ts'
import { PeerHeads } from './audit/peer-heads.ts'
import { serveClients } from './client-port/serve.ts'
import { HSM_FILES, type HsmConfig } from '../../provider-schema/hsm-directory.ts'
import { clusterIdentity, type ClusterIdentity } from './identity/cluster-identity.ts'
import { deviceIdentity, type Device } from './identity/device.ts'
import { writeWhole } from './identity/files.ts'
import { stayDrained } from './management-port/drain.ts'
import { findConfig, keptConfig, requireConfig, settleConfig } from './kept-config.ts'
import { leavingWhy } from './refusal.ts'
import { phaseOf } from './management-port/managed-hsm.ts'
import { serveManagement } from './management-port/serve.ts'
import { endZeroisation } from './management-port/zeroise.ts'
import { systemQuorumClock } from './quorum/clock.ts'
import { PeerChanges } from './quorum/peer-changes.ts'
import { Quorum } from './quorum/quorum.ts'
import { QuorumValues } from './quorum/values.ts'
import { Mtls } from './mtls/mtls.ts'
import { Membership } from './replication/membership.ts'
import { systemClock } from './replication/clock.ts'
import { peerConnector, servePeers } from './replication/peer-port.ts'
import { Replicator } from './replication/replicator.ts'
import { lockDirectory } from './server/directory-lock.ts'
import { Keys } from './vault/keys.ts'
import type { RecordStore } from './vault/record-store.ts'
import { openSealedStore } from './vault/sealed-store.ts'
import { hasVault, sealKeyOf } from './vault/seal.ts'
import { Users } from './vault/users.ts'

/** How long requests under way may take to finish at a stop, in milliseconds. */
const STOP_GRACE_MS = 5_000
/** As above, for what the control plane asked for. */
const MANAGEMENT_GRACE_MS = 1_000
/** Of each request while joining: a member may be busy with others that join. */
const JOIN_CALL_TIMEOUT_MS = 30_000

export interface HsmOptions {
  readonly directory: string
  /** Of the software. */
  readonly version: string
  readonly log: Logger
  /** Ends the wait for the device certificate. */
  readonly signal: AbortSignal
  /** Called when the HSM was zeroised: it is to be stopped, and never to be started again. */
  readonly onZeroised: () => void
}

export interface RunningHsm {
  readonly config: HsmConfig
  /** Finishes requests under way, then closes everything. */
  stop(): Promise<void>
}

/** What is to be undone at a stop, or when a later step of the start fails: last first. */
type Cleanup = () => Promise<unknown>

/** Starts the HSM of a directory; resolves when it listens. Throws when something it needs is not as it must be. */
export async function startHsm(options: HsmOptions): Promise<RunningHsm> {
  const cleanups: Cleanup[] = []
  const stop = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) {
      // What cannot be closed must not keep the rest open.
      await cleanup().catch((error: unknown) => options.log.error({ err: error }, 'not stopped in order'))
    }
  }
  try {
    const config = await start(options, (cleanup) => cleanups.push(cleanup))
    return { config, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function start(
  { directory, version, log, signal, onZeroised }: HsmOptions,
  atStop: (cleanup: Cleanup) => unknown,
): Promise<HsmConfig> {
  const running = join(directory, HSM_FILES.running)
  const startedAt = new Date().toISOString()
  const sayRunning = () => writeWhole(running, JSON.stringify({ pid: process.pid, startedAt, version }))
  let isUp = false
  const lock = await lockDirectory(directory, () => {
    // The host started another process: the file that tells of this one is gone or damaged.
    if (isUp) void sayRunning().catch(() => undefined)
  })
  atStop(() => lock.release())
  // Left behind by a process that was killed.
  await rm(running, { force: true })

  await endZeroisation(directory)
  const { config, store, device } = await leavingWhy(directory, () => openDirectory({ directory, log, signal, atStop }))
  const audit = await AuditLog.open({ directory, hsmId: config.hsmId, device, local: store.local, log })
  atStop(() => audit.close())
  const identity = clusterIdentity(store)
  const membership = new Membership(store.local, config.trust.controlCa)
  const peering = { config, device, membership, log }
  const connect = peerConnector(peering)
  const note = (event: AuditEvent) => {
    audit.note(identity.current?.clusterId ?? 'none', event).catch((error: unknown) => {
      log.error({ reason: String(error) }, 'what is known of another HSM could not be recorded yet')
    })
  }
  const peerHeads = new PeerHeads({ clock: systemClock, note })
  atStop(() => {
    peerHeads.stop()
    return Promise.resolve()
  })
  const inService = () => identity.current !== undefined
  const admission = new PeerChanges({
    hsmId: config.hsmId,
    store,
    members: () => membership.members.map(({ hsmId }) => hsmId),
    inService,
    note,
    clock: systemQuorumClock,
  })
  const replicator = await Replicator.start({
    hsmId: config.hsmId,
    store,
    identity,
    membership,
    connect,
    clock: systemClock,
    admission,
    onAuditHead: (hsmId, head) => peerHeads.heard(hsmId, head),
    log,
  })
  atStop(() => replicator.stop())

  // Its own, not the cluster's: while a cluster changes its type it has HSMs of both.
  const hsmType = () => config.hsmType
  const keys: Keys = new Keys({
    store,
    replication: replicator,
    hsmType,
    userExists: (name) => users.has(name),
    isCryptoUser: (name) => users.roleOf(name) === 'crypto-user',
    keySeparation: config.keySeparation ?? 'trusted',
  })
  const users: Users = new Users({
    store,
    replication: replicator,
    hsmType,
    ownsKeys: (name) => keys.ownsKeys(name),
    onDeleted(name) {
      clients.endLoginsOf(name)
      keys.endSessionSharing(name)
    },
    endSharing: (name) => keys.endSharing(name),
    adminsNeeded: () => quorumValues.adminsNeeded,
  })
  const quorumValues = new QuorumValues({ store, replication: replicator, hsmType, admins: () => users.admins })
  const quorum = new Quorum({
    hsmId: config.hsmId,
    users,
    keyOf: (caller, handle) => keys.usable(caller, handle, false),
    values: quorumValues,
    replication: replicator,
    clock: systemQuorumClock,
  })
  const mtls = new Mtls({ store, replication: replicator, hsmType })
  const seenClients = new SeenClients(store.local, log)
  const phase = () => phaseOf({ identity, activated: () => users.activated })

  const peers = await servePeers({ ...peering, store, identity, replicator, auditHead: () => audit.head })
  atStop(() => peers.close())
  const clients = await serveClients(
    {
      config,
      version,
      log,
      users,
      keys,
      quorum,
      mtls,
      replication: replicator,
      seenClients,
      cluster: () => clusterFacts(identity, config),
      phase,
    },
    identity.clientTls ?? device.tls,
    audit,
  )
  // Before the first client comes in.
  stayDrained({ store, clients })
  atStop(() => clients.close(STOP_GRACE_MS))
  identity.onChange(() => {
    if (identity.clientTls) clients.setSecureContext(identity.clientTls)
  })
  const management = await serveManagement({
    directory,
    config,
    version,
    log,
    store,
    device,
    identity,
    membership,
    peers: replicator,
    connect: peerConnector(peering, JOIN_CALL_TIMEOUT_MS),
    clients,
    audit,
    zeroised: onZeroised,
    counts: () => ({
      keys: keys.count,
      sessionKeys: keys.sessionCount,
      users: users.count,
      sessions: clients.sessions,
    }),
    seenClients: () => seenClients.list(),
    activated: () => users.activated,
  })
  atStop(() => management.close(MANAGEMENT_GRACE_MS))

  await sayRunning()
  isUp = true
  atStop(() => {
    isUp = false
    return rm(running, { force: true })
  })
  log.info({ hsmId: config.hsmId, address: config.address, phase: phase() }, 'HSM is up')
  return config
}

interface Opened {
  readonly config: HsmConfig
  readonly store: RecordStore
  readonly device: Device
}

/** All that an HSM is, from what is in its directory. Throws VaultDamaged or DeviceCertificateWrong when it is not as it was left. */
async function openDirectory({
  directory,
  log,
  signal,
  atStop,
}: Pick<HsmOptions, 'directory' | 'log' | 'signal'> & {
  readonly atStop: (cleanup: Cleanup) => unknown
}): Promise<Opened> {
  const found = await findConfig(directory)
  // Nothing is made in a directory that is none of an HSM.
  if (!(await hasVault(directory))) requireConfig(found)
  const sealKey = await sealKeyOf(directory)
  const hsmId = (local: Pick<RecordStore['local'], 'get'>) => (keptConfig(local) ?? requireConfig(found)).hsmId
  const store = await openSealedStore({ directory, sealKey, hsmId })
  sealKey.fill(0)
  atStop(() => store.close())
  const warn = (details: object, text: string) => log.warn(details, text)
  const config = await settleConfig({ directory, found, local: store.local, warn })
  const device = await deviceIdentity({ directory, config, local: store.local, signal, warn })
  return { config, store, device }
}

function clusterFacts({ current }: ClusterIdentity, { hsmType }: HsmConfig) {
  return current && { clusterId: current.clusterId, hsmType, mode: current.mode }
}
