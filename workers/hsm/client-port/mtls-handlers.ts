/** mtls-*: trust anchors of clients' certificates, and whether one must be shown. */
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Handlers } from '../server/port-server.ts'
import type { ClientHsm } from './client-hsm.ts'
import { admit, admitCaller, type ClientConnection, type Session } from './session.ts'

/** The only one who may enforce mTLS, as at AWS (data-plane reference §2.2). */
const FIRST_ADMIN = 'admin'

/** Does the work of a connection that it may itself be ended by, and ends it no earlier than its answer was sent. */
export type Sparing = <Result>(connection: ClientConnection, work: () => Promise<Result>) => Promise<Result>

export function mtlsHandlers(hsm: ClientHsm, sparing: Sparing) {
  return {
    async 'mtls-register-trust-anchor'({ certificate }, connection) {
      const caller = admitCaller('mtls-register-trust-anchor', hsm, connection)
      const anchor = await sparing(connection, () => hsm.mtls.register(certificate))
      hsm.log.info({ by: caller.username, reference: anchor.reference }, 'mTLS trust anchor registered')
      return { anchor }
    },

    async 'mtls-deregister-trust-anchor'({ reference }, connection) {
      const caller = admitCaller('mtls-deregister-trust-anchor', hsm, connection)
      await sparing(connection, () => hsm.mtls.deregister(reference))
      hsm.log.info({ by: caller.username, reference }, 'mTLS trust anchor deregistered')
      return {}
    },

    'mtls-list-trust-anchors'(_params, connection) {
      admit('mtls-list-trust-anchors', hsm, connection)
      return { anchors: hsm.mtls.list() }
    },

    'mtls-get-enforcement'(_params, connection) {
      admitCaller('mtls-get-enforcement', hsm, connection)
      return { level: hsm.mtls.level }
    },

    async 'mtls-set-enforcement'({ level }, connection) {
      const caller = admitCaller('mtls-set-enforcement', hsm, connection)
      if (caller.username !== FIRST_ADMIN) {
        throw new HsmError('PermissionDenied', `only the admin named ${FIRST_ADMIN} sets the enforcement of mTLS`)
      }
      if (hsm.mtls.anchorOf(connection.socket) === undefined) {
        throw new HsmError(
          'PermissionDenied',
          'the enforcement of mTLS is set over a connection with mTLS only: register a trust anchor and connect with a ' +
            'client certificate below it',
        )
      }
      await sparing(connection, () => hsm.mtls.setLevel(level))
      hsm.log.info({ by: caller.username, level }, 'mTLS enforcement set')
      return {}
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}
