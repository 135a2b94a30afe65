/** Rows to test transitions with, as the API would have written them. */
import { pino } from 'pino'
import {
  newClusterId,
  newCopyId,
  newEniId,
  newHsmId,
  newSecurityGroupId,
  newVpcId,
  type AccountId,
  type BackupId,
  type HsmId,
  type SubnetId,
} from '../../../provider-schema/ids.ts'
import type { HsmType } from '../../../provider-schema/limits.ts'
import { openDatabase, type Database } from '../../../state/database.ts'
import type { Cluster } from '../../../state/clusters.ts'
import type { Copy } from '../../../state/copies.ts'
import type { Hsm } from '../../../state/hsms.ts'
import { freshDatabase } from '../../../test/support/database.ts'
import type { JobContext } from '../transition.ts'
import { simulatedWorld, type SimulatedWorld } from './simulated-world.ts'

const ACCOUNT = '000000000000' as AccountId
const ZONE = 'us-east-1a'
const SUBNET = 'subnet-0a0a0a0a' as SubnetId

export interface Bench {
  readonly database: Database
  readonly url: string
  readonly world: SimulatedWorld
  readonly ctx: JobContext
  close(): Promise<void>
}

/** A database of its own with one host in it, and a simulated world. */
export async function bench(): Promise<Bench> {
  const fresh = await freshDatabase()
  const database = openDatabase({ url: fresh.url })
  const beat = () => database.read.hosts.heartbeat({ id: 'host-1', zones: [ZONE, 'us-east-1b'], capacity: 100 })
  await beat()
  // Tests on a busy machine take longer than a host may be silent.
  const beating = setInterval(() => void beat().catch(() => undefined), 3_000)
  const world = simulatedWorld()
  return {
    database,
    url: fresh.url,
    world,
    ctx: {
      database,
      ports: world.ports,
      log: pino({ level: 'silent' }),
      clock: () => new Date(),
      pace: 0,
      signal: new AbortController().signal,
    },
    close: async () => {
      clearInterval(beating)
      await database.close()
      await fresh.drop()
    },
  }
}

export function insertCluster({ database }: Pick<Bench, 'database'>, set: Partial<Cluster> = {}): Promise<Cluster> {
  return database.read.clusters.insert({
    id: newClusterId(),
    account: ACCOUNT,
    hsmType: 'hsm2m.medium',
    mode: 'FIPS',
    networkType: 'IPV4',
    state: 'CREATE_IN_PROGRESS',
    subnetMapping: { [ZONE]: SUBNET },
    vpcId: newVpcId(),
    securityGroup: newSecurityGroupId(),
    retentionDays: 90,
    createdAt: new Date(),
    ...set,
  })
}

let lastAddress = 0

export function insertHsm(
  { database }: Pick<Bench, 'database'>,
  cluster: Pick<Cluster, 'id'>,
  set: Partial<Hsm> = {},
): Promise<Hsm> {
  lastAddress += 1
  const address = `127.9.${Math.floor(lastAddress / 250)}.${1 + (lastAddress % 250)}`
  return database.read.hsms.insert({
    id: newHsmId(),
    clusterId: cluster.id,
    account: ACCOUNT,
    hsmType: 'hsm2m.medium',
    availabilityZone: ZONE,
    subnetId: SUBNET,
    eniId: newEniId(),
    eniIp: address,
    listenIp: address,
    state: 'CREATE_IN_PROGRESS',
    createdAt: new Date(),
    ...set,
  })
}

export function insertCopy({ database }: Pick<Bench, 'database'>, backupId: BackupId): Promise<Copy> {
  return database.read.copies.insert({
    id: newCopyId(),
    account: ACCOUNT,
    backupId,
    destinationRegion: 'eu-west-1',
    tags: { Owner: 'me' },
    state: 'IN_PROGRESS',
    createdAt: new Date(),
  })
}

/** An ACTIVE cluster with one ACTIVE HSM that holds some words. */
export async function activeCluster(
  b: Pick<Bench, 'database' | 'world'>,
  words: readonly string[],
  hsmType: HsmType = 'hsm2m.medium',
): Promise<{ cluster: Cluster; hsm: Hsm }> {
  const cluster = await insertCluster(b, {
    hsmType,
    state: 'ACTIVE',
    membershipEpoch: 1,
    clusterCertificate: 'certificate\n',
    trustAnchor: 'anchor\n',
  })
  const hsm = await insertHsm(b, cluster, { hsmType, state: 'ACTIVE', member: true, hostId: 'host-1' })
  await b.world.ports.hosts.on('host-1').ensureRunning({
    id: hsm.id,
    hsmType: hsm.hsmType,
    listenIp: hsm.listenIp,
    eniIp: hsm.eniIp,
  })
  const process = simulated(b, hsm.id)
  process.certified = true
  process.phase = 'active'
  process.clusterId = cluster.id
  process.content = new Set(words)
  process.membership = {
    clusterId: cluster.id,
    epoch: 1,
    members: [{ hsmId: hsm.id, address: hsm.listenIp, eniIp: hsm.eniIp }],
  }
  return { cluster, hsm }
}

export function simulated({ world }: Pick<Bench, 'world'>, id: HsmId) {
  const hsm = world.hsms.get(id)
  if (!hsm) throw new Error(`no simulated ${id}`)
  return hsm
}
