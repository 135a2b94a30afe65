import type { Role, UserInfo } from '../../workers/hsm/protocol/values.ts'
import type { FromHsm, Requests } from './requests.ts'
import { Secret } from './secret.ts'

export interface UserName {
  readonly username: string
  readonly role: Role
}

export interface UserCalls {
  /** The users as one HSM knows them. */
  list(): Promise<UserInfo[]>
  /** The users as each HSM knows them: what differs is not in sync, or counted per HSM, as lock-outs are. */
  listPerHsm(): Promise<FromHsm<UserInfo[]>[]>
  create(user: UserName & { readonly password: string }): Promise<UserName>
  /** HsmError PermissionDenied while the user owns keys or is the last admin. */
  delete(user: UserName): Promise<UserName>
  changePassword(user: UserName & { readonly password: string }): Promise<UserName>
}

/** Users are replicated by the HSMs themselves: each change is sent to one of them. */
export function userCalls(requests: Requests): UserCalls {
  return {
    async list() {
      const { users } = await requests.any('user-list', {})
      return users
    },
    async listPerHsm() {
      const lists = await requests.each('user-list', {})
      return lists.map(({ hsmId, answer }) => ({ hsmId, answer: answer.users }))
    },
    create: ({ username, role, password }) => requests.any('user-create', { username, role, password }),
    delete: ({ username, role }) =>
      requests.any('user-delete', { username, role }, { code: 'UserNotFound', result: { username, role } }),
    async changePassword({ username, role, password }) {
      const changed = await requests.any('user-change-password', { username, role, password })
      const { session } = requests.pool
      if (session?.username === changed.username && session.role === role) {
        // Connections to come log in with the new one.
        session.password.wipe()
        session.password = new Secret(password)
      }
      return changed
    },
  }
}
