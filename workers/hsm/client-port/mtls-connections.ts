/** Which client connections may stay, as the trust anchors and the enforcement of mTLS change. */
import type { SecureContextOptions, TLSSocket } from 'node:tls'
import type { Mtls } from '../mtls/mtls.ts'
import { HsmError } from '../protocol/errors.ts'
import type { PortTls } from '../server/port-server.ts'
import type { Sparing } from './mtls-handlers.ts'
import type { ClientConnection, Session } from './session.ts'

/** How long the answer to the request that ends its own connection has to get out, in milliseconds. */
const ANSWER_MS = 500

export interface MtlsConnections {
  /** What the port shows, and that it asks for a certificate without insisting on one. */
  tls(shown: SecureContextOptions): PortTls
  /** Throws PermissionDenied while only certificates below an anchor are let in, and this is none. */
  admit(socket: TLSSocket): void
  readonly sparing: Sparing
  /** Ends the connections that may not stay. */
  enforce(): void
}

export function mtlsConnections(mtls: Mtls, connections: () => Iterable<ClientConnection>): MtlsConnections {
  /** The anchor that each connection came in by. */
  const cameBy = new WeakMap<TLSSocket, number>()
  const spared = new Set<Session>()

  const mayStay = (socket: TLSSocket): boolean => {
    const anchor = mtls.anchorOf(socket)
    if (anchor !== undefined) {
      cameBy.set(socket, anchor)
      return true
    }
    return mtls.level === 'none' && !cameBy.has(socket)
  }
  const enforce = () => {
    for (const connection of connections()) {
      if (!spared.has(connection.context) && !mayStay(connection.socket)) connection.destroy()
    }
  }
  return {
    // Without trust anchors none of the authorities that Node knows may vouch for anybody.
    tls: (shown) => ({ ...shown, ca: mtls.authorities, requestCert: true, rejectUnauthorized: false }),
    admit(socket) {
      if (mayStay(socket)) return
      throw new HsmError(
        'PermissionDenied',
        'mTLS is enforced, and the client showed no certificate below a trust anchor',
      )
    },
    async sparing(connection, work) {
      spared.add(connection.context)
      try {
        return await work()
      } finally {
        setTimeout(() => {
          spared.delete(connection.context)
          enforce()
        }, ANSWER_MS).unref()
      }
    },
    enforce,
  }
}
