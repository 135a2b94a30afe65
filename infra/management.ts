/** The control plane's way to an HSM: its management port, with a control certificate; and the lists of members it signs. */
import { sign } from 'node:crypto'
import { openConnection } from '../workers/hsm/protocol/connection.ts'
import { managementOperations } from '../workers/hsm/protocol/management-operations.ts'
import { HSM_PORTS } from '../provider-schema/limits.ts'
import { hsmUri } from '../provider-schema/party-names.ts'
import type { HsmPort } from '../workers/jobs/ports.ts'
import type { ControlIdentity } from './pki/control.ts'
import type { Fleet } from './pki/fleet.ts'
import { peerUri } from './pki/names.ts'

const CONNECT_TIMEOUT_MS = 3_000

/** What the control plane may do with HSMs, as one control identity. */
export function hsmPort(identity: ControlIdentity, fleet: Pick<Fleet, 'manufacturerCa'>): HsmPort {
  return {
    connect: (hsm) =>
      openConnection({
        host: hsm.listenIp,
        port: HSM_PORTS.management,
        operations: managementOperations,
        tls: {
          key: identity.keyPem,
          cert: identity.chain,
          ca: fleet.manufacturerCa,
          allowPartialTrustChain: true,
        },
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        verifyPeer: (socket) => {
          if (peerUri(socket) !== hsmUri(hsm.id)) throw new Error(`who answers is not ${hsm.id}`)
        },
      }),

    signMembership: (membership) => {
      const document = Buffer.from(JSON.stringify(membership))
      return { document, signature: sign('sha384', document, identity.key), chain: identity.chain }
    },
  }
}
