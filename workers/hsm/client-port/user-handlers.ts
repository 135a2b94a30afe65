/** Users, their passwords, and the keys that they sign tokens with. */
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Handlers } from '../server/port-server.ts'
import { takingAlong } from '../quorum/spent-approvals.ts'
import { isSignedToken } from '../vault/token-sign.ts'
import type { ClientHsm } from './client-hsm.ts'
import { takeChallenge } from './login-challenge.ts'
import { admit, admitCaller, type Session } from './session.ts'

export function userHandlers(hsm: ClientHsm) {
  return {
    'user-list'(_params, connection) {
      admit('user-list', hsm, connection)
      return { users: hsm.users.list() }
    },

    async 'user-create'(user, connection) {
      const caller = admitCaller('user-create', hsm, connection)
      await hsm.users.create(user)
      const { username, role } = user
      hsm.log.info({ by: caller.username, username, role }, 'user created')
      return { username, role }
    },

    async 'user-delete'({ username, role }, connection) {
      const caller = admitCaller('user-delete', hsm, connection)
      await hsm.users.delete({ username, role })
      hsm.log.info({ by: caller.username, username, role }, 'user deleted')
      return { username, role }
    },

    async 'user-change-password'(user, connection) {
      const caller = admitCaller('user-change-password', hsm, connection)
      await hsm.users.changePassword(caller, user)
      const { username, role } = user
      hsm.log.info({ by: caller.username, username, role }, 'password changed')
      return { username, role }
    },

    async 'user-change-mfa'({ username, role, registration, password }, connection) {
      const caller = admitCaller('user-change-mfa', hsm, connection)
      const change = () => hsm.users.changeMfa(caller, { username, role, registration, password })
      if (!registration) await change()
      else {
        const { publicKey, signature, changeQuorum } = registration
        const preimage = takeChallenge(connection.context, { username, role })
        requireSigned(publicKey, preimage, signature)
        await (changeQuorum ? takingAlong({ registration: { preimage, signature } }, change) : change())
      }
      hsm.log.info({ by: caller.username, username, role, registered: registration !== undefined }, 'MFA changed')
      return { username, role }
    },

    async 'user-register-quorum-key'({ record, publicKey, signature }, connection) {
      const caller = admitCaller('user-register-quorum-key', hsm, connection)
      const token = hsm.quorum.claimRegistration(connection.context, record)
      await token.spendOn(() => {
        requireSigned(publicKey, record, signature)
        return takingAlong({ registration: { preimage: record, signature } }, () =>
          hsm.users.registerApprovalKey(caller, publicKey),
        )
      })
      const { username, role } = caller
      hsm.log.info({ username, role }, 'key for approvals registered')
      return { username, role }
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}

/** Whoever registers a key shows that the private half is at hand. */
function requireSigned(publicKey: Uint8Array, preimage: Uint8Array, signature: Uint8Array): void {
  if (isSignedToken(publicKey, preimage, signature)) return
  throw new HsmError('InvalidRequest', 'the token is not signed with the key that is to be registered')
}
