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
  /**
   * In limited-write mode, while the cluster's HSMs are swapped for another type (data-plane §8): whether the operation
   * works, is refused, or works for session objects only, which the vault decides when it knows the object.
   */
  readonly whenLimited: 'works' | 'refused' | 'session-objects'
}

const anyone: Permission = { roles: 'anyone', beforeActivation: true, whenLimited: 'works' }
const admins: Permission = { roles: ['admin'], beforeActivation: false, whenLimited: 'works' }
const cryptoUsers: Permission = { roles: ['crypto-user'], beforeActivation: false, whenLimited: 'works' }
const everyUser: Permission = { roles: ['admin', 'crypto-user'], beforeActivation: false, whenLimited: 'works' }

/** The operation changes what is kept: users, policies, attributes. */
const changing = (permission: Permission): Permission => ({ ...permission, whenLimited: 'refused' })
/** The operation may change what is kept, or only the session. */
const making = (permission: Permission): Permission => ({ ...permission, whenLimited: 'session-objects' })

export const PERMISSIONS = {
  hello: anyone,
  activate: changing(anyone),
  login: { ...anyone, beforeActivation: false },
  'mfa-token-generate': { ...anyone, beforeActivation: false },
  logout: anyone,
  'hsm-info': anyone,
  'user-list': anyone,
  'user-create': changing(admins),
  'user-delete': changing(admins),
  // Everyone their own, admins everyone's: users.ts looks at whose it is.
  'user-change-password': changing(everyUser),
  'user-change-mfa': changing(everyUser),
  // Their own.
  'user-register-quorum-key': changing(everyUser),
  'quorum-list-values': anyone,
  'quorum-set-value': changing(admins),
  'quorum-token-generate': changing(everyUser),
  'quorum-approve': changing(everyUser),
  'quorum-token-list': everyUser,
  'quorum-token-delete': admins,
  'quorum-token-drop': everyUser,
  'mtls-register-trust-anchor': changing(admins),
  'mtls-deregister-trust-anchor': changing(admins),
  'mtls-list-trust-anchors': anyone,
  'mtls-get-enforcement': everyUser,
  // Of the admins only one, and only over mTLS: mtls-handlers.ts.
  'mtls-set-enforcement': changing(admins),
  'key-generate-aes': making(cryptoUsers),
  'key-generate-rsa': making(cryptoUsers),
  'key-generate-ec': making(cryptoUsers),
  'key-generate-des3': making(cryptoUsers),
  'key-generate-generic-secret': making(cryptoUsers),
  'key-generate-ml-dsa': making(cryptoUsers),
  'key-generate-ml-kem': making(cryptoUsers),
  'key-encapsulate': making(cryptoUsers),
  'key-decapsulate': making(cryptoUsers),
  'key-find': everyUser,
  'key-describe': everyUser,
  'key-delete': making(cryptoUsers),
  'key-public': cryptoUsers,
  'key-value': cryptoUsers,
  // An admin the attribute trusted, owners the others: attribute-changes.ts looks at which it is.
  'key-set-attribute': changing(everyUser),
  'key-share': changing(cryptoUsers),
  'key-unshare': changing(cryptoUsers),
  'key-import': making(cryptoUsers),
  'key-wrap': cryptoUsers,
  'key-unwrap': making(cryptoUsers),
  'key-derive': making(cryptoUsers),
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

/** Throws PolicyRefused when the operation is one that limited-write mode refuses. */
export function requireUnlimited(operation: keyof ClientOperations, writesLimited: boolean): void {
  const { whenLimited }: Permission = PERMISSIONS[operation]
  if (writesLimited && whenLimited === 'refused') throw limitedWrites(operation)
}

/** The refusal of limited-write mode. `what` names what was refused. */
export function limitedWrites(what: string): HsmError {
  return new HsmError(
    'PolicyRefused',
    `${what} is refused: the cluster is in limited-write mode while its HSM type is changed. Keys can be used and ` +
      'session keys made; users, token keys, attributes and policies can be changed when the cluster is ACTIVE again',
  )
}
