import type { Role, UserInfo } from '../../workers/hsm/protocol/values.ts'
import { signaturesOf, type SignTokens } from './mfa.ts'
import { spkiOf } from './public-key.ts'
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
  /** Also forgets the user's key for logins or for approvals, when asked to. */
  changePassword(
    user: UserName & {
      readonly password: string
      readonly deregisterMfa?: boolean | undefined
      readonly deregisterQuorum?: boolean | undefined
    },
  ): Promise<UserName>
  /**
   * Makes logins of the user need a token signed with this key (PEM), or, for oneself with `changeQuorum`, approvals as well;
   * with `deregister` ends it. A `password` is set in the same change.
   */
  changeMfa(
    user: UserName & {
      readonly password?: string | undefined
      readonly change:
        | 'deregister'
        | {
            readonly publicKey: () => string | Promise<string>
            readonly sign: SignTokens
            readonly changeQuorum?: boolean
          }
    },
  ): Promise<UserName>
}

/** Users are replicated by the HSMs themselves: each change is sent to one of them. */
export function userCalls(requests: Requests): UserCalls {
  /** Connections to come log in with the new password of whoever is logged in. */
  const takeOver = ({ username, role }: UserName, password: string | undefined) => {
    const { session } = requests.pool
    if (password === undefined || session?.username !== username || session.role !== role) return
    session.password.wipe()
    session.password = new Secret(password)
  }

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
    async changePassword({ username, role, password, deregisterMfa = false, deregisterQuorum = false }) {
      const params = { username, role, password, deregisterMfa, deregisterQuorum }
      const changed = await requests.any('user-change-password', params)
      takeOver(changed, password)
      return changed
    },
    async changeMfa({ username, role, password, change }) {
      const user = { username, role, ...(password !== undefined && { password }) }
      let changed: UserName
      if (change === 'deregister') changed = await requests.any('user-change-mfa', user)
      else {
        const signatures = await signaturesOf(requests, { username, role }, change.sign)
        const registration = { publicKey: spkiOf(await change.publicKey()), changeQuorum: change.changeQuorum ?? false }
        changed = await requests.onOneOf('user-change-mfa', (hsmId) => {
          const signature = signatures.get(hsmId)
          return signature && { ...user, registration: { ...registration, signature } }
        })
      }
      takeOver(changed, password)
      return changed
    },
  }
}
