/** The peer port and the way to those of others: TLS with device certificates around the replicator. */
import { X509Certificate } from 'node:crypto'
import type { Logger } from 'pino'
import type { HsmConfig } from '../../../provider-schema/hsm-directory.ts'
import type { Device } from '../identity/device.ts'
import { callersFrom, hsmOf, peerIssuedBy } from '../identity/trust.ts'
import { openConnection } from '../protocol/connection.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Member } from '../protocol/values.ts'
import { servePort, type PortServer } from '../server/port-server.ts'
import type { Membership } from './membership.ts'
import { peerHandlers, type PeerCaller, type PeerHandlerOptions } from './peer-handlers.ts'
import { peerOperations } from './peer-operations.ts'
import type { PeerLink } from './peer.ts'

const CONNECT_TIMEOUT_MS = 2_000
/** A peer that takes longer to store a batch is given up for now; what it missed it pulls later. */
const CALL_TIMEOUT_MS = 2_000

interface PeerPortOptions {
  readonly config: HsmConfig
  readonly device: Device
  readonly membership: Membership
  readonly log: Logger
}

/** A connector for `Replicator` and `joinCluster`: to a member's peer port, as this device, making sure who answers. */
export function peerConnector({ config, device, membership }: PeerPortOptions, callTimeoutMs = CALL_TIMEOUT_MS) {
  const manufacturerCa = new X509Certificate(config.trust.manufacturerCa)
  return (member: Member, signal?: AbortSignal): Promise<PeerLink> =>
    openConnection({
      host: member.address,
      port: config.ports.peer,
      operations: peerOperations,
      tls: { ...device.tls, ca: [config.trust.root, config.trust.manufacturerCa] },
      verifyPeer: (socket) => {
        requireMembers(membership, config.hsmId, member.hsmId)
        if (hsmOf(peerIssuedBy(manufacturerCa, socket)) !== member.hsmId) {
          throw new HsmError('PermissionDenied', `who answers at ${member.address} is not ${member.hsmId}`)
        }
      },
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      callTimeoutMs,
      ...(signal && { signal }),
    })
}

/** Listens on the peer port. Whoever the newest list of members does not name is not let in, or cut off at once. */
export async function servePeers(options: PeerPortOptions & PeerHandlerOptions): Promise<PortServer<PeerCaller>> {
  const { config, device, membership, log } = options
  const manufacturerCa = new X509Certificate(config.trust.manufacturerCa)
  const server = await servePort<typeof peerOperations, PeerCaller>({
    name: 'peer',
    host: config.address,
    port: config.ports.peer,
    tls: { ...device.tls, ...callersFrom(config.trust.root, config.trust.manufacturerCa) },
    operations: peerOperations,
    handlers: peerHandlers(options),
    // 27 peers; twice that while links are made anew, and more of those who only try.
    limits: { maxConnections: 128 },
    log,
    onConnect(socket) {
      const hsmId = hsmOf(peerIssuedBy(manufacturerCa, socket))
      if (hsmId === undefined) throw new HsmError('PermissionDenied', 'the caller is no HSM')
      requireMembers(membership, config.hsmId, hsmId)
      return { hsmId, greeted: false }
    },
  })
  membership.onChange(() => {
    for (const connection of server.connections) {
      if (!membership.includes(connection.context.hsmId) || !membership.includes(config.hsmId)) connection.destroy()
    }
  })
  return server
}

function requireMembers(membership: Membership, ...hsmIds: readonly string[]): void {
  for (const hsmId of hsmIds) {
    if (!membership.includes(hsmId)) {
      throw new HsmError('PermissionDenied', `the list of members does not name ${hsmId}`)
    }
  }
}
