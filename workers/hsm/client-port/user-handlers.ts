/** user-list, user-create, user-delete, user-change-password. */
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import type { ClientHsm } from './client-hsm.ts'
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
  } satisfies Partial<Handlers<ClientOperations, Session>>
}
