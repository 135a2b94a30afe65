/** Who may ask for what (data-plane reference §1.2), one row for each operation of the client port. */
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Role } from '../protocol/values.ts'

/** A person or program that logged in. */
export interface Caller {
  readonly username: string
  readonly role: Role
}

interface Permission {
  /** `anyone`: no login is needed. */
  readonly roles: 'anyone' | readonly Role[]
  /** Whether the operation is answered before the cluster has its first admin. */
  readonly beforeActivation: boolean
}

const anyone: Permission = { roles: 'anyone', beforeActivation: true }
const admins: Permission = { roles: ['admin'], beforeActivation: false }
const cryptoUsers: Permission = { roles: ['crypto-user'], beforeActivation: false }
const everyUser: Permission = { roles: ['admin', 'crypto-user'], beforeActivation: false }

export const PERMISSIONS = {
  hello: anyone,
  activate: anyone,
  login: { roles: 'anyone', beforeActivation: false },
  'mfa-token-generate': { roles: 'anyone', beforeActivation: false },
  logout: anyone,
  'hsm-info': anyone,
  'user-list': anyone,
  'user-create': admins,
  'user-delete': admins,
  // Everyone their own, admins everyone's: users.ts looks at whose it is.
  'user-change-password': everyUser,
  'user-change-mfa': everyUser,
  // Their own.
  'user-register-quorum-key': everyUser,
  'quorum-list-values': anyone,
  'quorum-set-value': admins,
  'quorum-token-generate': everyUser,
  'quorum-approve': everyUser,
  'quorum-token-list': everyUser,
  'quorum-token-delete': admins,
  'quorum-token-drop': everyUser,
  'mtls-register-trust-anchor': admins,
  'mtls-deregister-trust-anchor': admins,
  'mtls-list-trust-anchors': anyone,
  'mtls-get-enforcement': everyUser,
  // Of the admins only one, and only over mTLS: mtls-handlers.ts.
  'mtls-set-enforcement': admins,
  'key-generate-aes': cryptoUsers,
  'key-generate-rsa': cryptoUsers,
  'key-generate-ec': cryptoUsers,
  'key-generate-des3': cryptoUsers,
  'key-generate-generic-secret': cryptoUsers,
  'key-generate-ml-dsa': cryptoUsers,
  'key-generate-ml-kem': cryptoUsers,
  'key-encapsulate': cryptoUsers,
  'key-decapsulate': cryptoUsers,
  'key-find': everyUser,
  'key-describe': everyUser,
  'key-delete': cryptoUsers,
  'key-public': cryptoUsers,
  'key-value': cryptoUsers,
  // An admin the attribute trusted, owners the others: attribute-changes.ts looks at which it is.
  'key-set-attribute': everyUser,
  'key-share': cryptoUsers,
  'key-unshare': cryptoUsers,
  'key-import': cryptoUsers,
  'key-wrap': cryptoUsers,
  'key-unwrap': cryptoUsers,
  'key-derive': cryptoUsers,
  sign: cryptoUsers,
  verify: cryptoUsers,
  encrypt: cryptoUsers,
  decrypt: cryptoUsers,
  digest: cryptoUsers,
  random: cryptoUsers,
  'part-begin': cryptoUsers,
  'part-update': cryptoUsers,
  'part-finish': cryptoUsers,
  'part-cancel': cryptoUsers,
} as const satisfies Record<keyof ClientOperations, Permission>

/** The caller, who may do this. Throws NotActivated, NotAuthenticated or PermissionDenied, which name the rule. */
export function authorize(
  operation: keyof ClientOperations,
  caller: Caller | undefined,
  activated: boolean,
): Caller | undefined {
  const { roles, beforeActivation }: Permission = PERMISSIONS[operation]
  if (!activated && !beforeActivation) {
    throw new HsmError('NotActivated', 'the cluster is not activated yet: run cluster activate first')
  }
  if (roles === 'anyone') return caller
  if (!caller) throw new HsmError('NotAuthenticated', `${operation} needs a login as ${roles.join(' or ')}`)
  if (roles.includes(caller.role)) return caller
  throw new HsmError('PermissionDenied', `${operation} is for the role ${roles.join(' or ')}, not for ${caller.role}`)
}
