/**
 * As much of an HSM as its management port needs, in this process and without a disk: for what the port itself decides.
 * Tests against whole HSM processes stand beside it.
 */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import pino from 'pino'
import { AuditLog } from '../../audit/audit-log.ts'
import { makeRequest } from '../../identity/certificate.ts'
import { clusterIdentity } from '../../identity/cluster-identity.ts'
import { hsmUri } from '../../../../provider-schema/party-names.ts'
import { openConnection, type Connection } from '../../protocol/connection.ts'
import { ConnectionLost } from '../../protocol/errors.ts'
import {
  managementOperations,
  type ManagementOperations,
  type SignedMembership,
} from '../../protocol/management-operations.ts'
import { Membership } from '../../replication/membership.ts'
import { MemoryStore } from '../../replication/testing/memory-store.ts'
import { fleetPki, type FleetPki, type TlsCredentials } from '../../testing/pki.ts'
import type { ManagedHsm } from '../managed-hsm.ts'
import { serveManagement } from '../serve.ts'

export interface PartialHsm {
  readonly pki: FleetPki
  readonly hsm: ManagedHsm
  readonly port: number
  /** Connects as a part of the control plane, or with other credentials. Closed at the end of the test. */
  readonly connect: (credentials?: Partial<TlsCredentials>) => Promise<Connection<ManagementOperations>>
  /** The signed list of members that names this HSM and no other. */
  readonly alone: (epoch?: number, clusterId?: string) => SignedMembership
}

export async function partialHsm(t: TestContext, hsmId = 'hsm-1'): Promise<PartialHsm> {
  const pki = fleetPki()
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { deviceChain } = pki.issueDevice(makeRequest({ subject: [['CN', hsmId]], key, uri: hsmUri(hsmId) }), hsmId)
  const store = new MemoryStore(hsmId)
  const directory = await mkdtemp(join(tmpdir(), 'hsm-partial-'))
  t.after(() => rm(directory, { recursive: true }))
  const log = pino({ level: 'silent' })
  const tls = { key: key.export({ format: 'pem', type: 'pkcs8' }), cert: deviceChain }
  const audit = await AuditLog.open({ directory, hsmId, device: { key, tls }, local: store.local, log })
  t.after(() => audit.close())
  const hsm: ManagedHsm = {
    directory,
    config: {
      hsmId,
      hsmType: 'hsm2m.medium',
      address: '127.0.0.1',
      eniIp: '10.0.0.1',
      ports: { client: 0, peer: 0, management: 0 },
      trust: pki.trust,
      fleetBackupKeyFile: '/nonexistent',
    },
    version: 'test',
    log,
    store,
    audit,
    device: {
      hsmId,
      key,
      certificate: new X509Certificate(deviceChain),
      tls,
    },
    identity: clusterIdentity(store),
    membership: new Membership(store.local, pki.trust.controlCa),
    peers: {
      connected: [],
      inSync: [],
      settle: () => Promise.resolve(),
      meet: () => Promise.resolve(),
      catchUp: () => Promise.resolve(1),
    },
    connect: () => Promise.reject(new ConnectionLost('there is no peer')),
    clients: { drain: () => Promise.resolve(), resume: () => undefined, cutOff: () => undefined },
    zeroised: () => undefined,
    counts: () => ({ keys: 0, sessionKeys: 0, users: 0, sessions: 0 }),
    seenClients: () => [],
    activated: () => store.get('users/admin') !== undefined,
  }
  const server = await serveManagement(hsm)
  t.after(() => server.close())
  return {
    pki,
    hsm,
    port: server.port,
    async connect(credentials: Partial<TlsCredentials> = pki.control('jobs')) {
      const connection = await openConnection({
        host: '127.0.0.1',
        port: server.port,
        operations: managementOperations,
        tls: { ...credentials, ca: pki.trust.manufacturerCa, allowPartialTrustChain: true },
      })
      t.after(() => connection.close())
      return connection
    },
    alone: (epoch = 1, clusterId = 'cluster-1') =>
      pki.signMembership({ clusterId, epoch, members: [{ hsmId, address: '127.0.0.1', eniIp: '10.0.0.1' }] }),
  }
}
