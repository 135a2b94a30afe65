/** The users of a cluster (data-plane reference §1): their records, passwords, lockout, and who may change whom. */
import { HsmError } from '../protocol/errors.ts'
import type { Role, UserInfo } from '../protocol/values.ts'
import { requireRoomForUser } from '../policy/hsm-types.ts'
import type { Caller } from '../policy/roles.ts'
import { LeavingAdmins } from './leaving-admins.ts'
import { Lockout } from './lockout.ts'
import { LoginThrottle } from './login-throttle.ts'
import { SCRYPT, type Passwords } from './passwords.ts'
import { recordsOf } from './contested-records.ts'
import type { FeedEntry } from './record-store.ts'
import { writeReplicated, type Vaulted } from './replicated-write.ts'
import { isSignedToken, requireTokenSignKey, withApprovalKey, withLoginKey, type TokenSign } from './token-sign.ts'
import { approvalKeyIn, decodeUser, encodeUser, usernameOf, userPath, type UserRecord } from './user-record.ts'

/** Always listed, never a login (§1.1). */
const APPLIANCE_USER = 'app_user'
const FIRST_ADMIN = 'admin'

interface User extends UserRecord {
  readonly seq: number
}

interface UserName {
  readonly username: string
  readonly role: Role
}

/** A signature over a token that this HSM gave for the login; `preimage` is what the token is SHA-256 of. */
export interface SignedLogin {
  readonly preimage: Uint8Array
  readonly signature: Uint8Array
}

export interface UsersOptions extends Vaulted {
  readonly hsmType: () => string
  readonly ownsKeys: (username: string) => boolean
  /** Told when a user is gone: whoever is logged in so no longer is. */
  readonly onDeleted: (username: string) => void
  /** Ends what is shared with a name: of a user who is gone for good, and before one comes under it. */
  readonly endSharing: (username: string) => Promise<void>
  /** How many admins approvals need: deleting one must leave as many. 1 when left out. */
  readonly adminsNeeded?: () => number
  /**
   * For tests whose time is simulated, which scrypt and the pauses after failures do not keep to. Code hands them in; no
   * configuration of an HSM reaches here.
   */
  readonly passwords?: Passwords
  readonly throttle?: LoginThrottle
}

export class Users {
  readonly #options: UsersOptions
  readonly #users = new Map<string, User>()
  readonly #lockout: Lockout
  readonly #leaving: LeavingAdmins
  readonly #passwords: Passwords
  readonly #throttle: LoginThrottle
  /** Users with a change under way: a second one would be decided on what the first is about to change. */
  readonly #changing = new Set<string>()
  /** Users that are being made: they take up room already. */
  readonly #creating = new Set<string>()
  #activated = false

  constructor(options: UsersOptions) {
    this.#options = options
    this.#passwords = options.passwords ?? SCRYPT
    this.#throttle = options.throttle ?? new LoginThrottle()
    this.#lockout = new Lockout(options.store.local)
    this.#leaving = new LeavingAdmins(options)
    const records = recordsOf(options.store)
    for (const entry of records.all()) this.#take(entry)
    records.onCommit((entries) => entries.forEach((entry) => this.#take(entry)))
  }

  /**
   * Whether the cluster ever had its first admin. It stays so when HSMs that were apart deleted the last admins between
   * them: else whoever came first could make himself admin.
   */
  get activated(): boolean {
    return this.#activated
  }

  get count(): number {
    return this.#users.size
  }

  get admins(): number {
    return [...this.#users.values()].filter(({ role }) => role === 'admin').length
  }

  has(username: string): boolean {
    return this.#users.has(username)
  }

  /** Undefined when there is no such user. */
  roleOf(username: string): Role | undefined {
    return this.#users.get(username)?.role
  }

  /** The key that the user approves with (DER SubjectPublicKeyInfo), if one is registered. */
  approvalKeyOf({ username, role }: UserName): Uint8Array | undefined {
    return approvalKeyIn(this.#users.get(username), role)
  }

  list(): UserInfo[] {
    const users: UserInfo[] = [...this.#users.values()]
      .sort((a, b) => (a.username < b.username ? -1 : 1))
      .map((user) => ({
        username: user.username,
        role: user.role,
        locked: this.#lockout.isLocked(user),
        mfa: user.tokenSign?.mfa ?? false,
        quorum: user.tokenSign?.quorum ?? false,
        coverage: this.#coverage(user.seq),
      }))
    if (!this.activated) users.push(unlisted(FIRST_ADMIN, 'unactivated-admin'))
    return [...users, unlisted(APPLIANCE_USER, 'internal(APPLIANCE_USER)')]
  }

  /** The first admin's password turns the unactivated admin into the admin `admin`. Throws AlreadyActivated. */
  async activate(password: string): Promise<void> {
    const refuse = () => {
      if (this.activated) throw new HsmError('AlreadyActivated', 'the cluster is activated already')
    }
    refuse()
    await this.#alone(FIRST_ADMIN, async () => {
      const user = { username: FIRST_ADMIN, role: 'admin', password: await this.#passwords.hash(password) } as const
      refuse()
      // Not undone when no other HSM takes it: a cluster that was active for a moment is not to be had again.
      await this.#write(FIRST_ADMIN, user, 1)
    })
  }

  /**
   * Throws LoginFailed, the same for an unknown name, a wrong password and a wrong signature; UserLocked; Busy; MfaRequired
   * when the user has a key for logins and nothing was signed with it.
   */
  async login(
    login: UserName & { password: string; signed?: SignedLogin | undefined },
    address: string,
  ): Promise<Caller> {
    const { username, role } = login
    this.#requireSignature(login)
    const succeeded = await this.#throttle.attempt(username, address, async () => {
      const user = this.#users.get(username)
      if (user && this.#lockout.isLocked(user)) throw locked(username)
      const same = await this.#passwords.check(login.password, user?.role === role ? user.password : undefined)
      // Whoever locked the account while this guess was checked locked this guess out too.
      if (user && this.#lockout.isLocked(user)) throw locked(username)
      // As it is now: a key may have been registered while the password was checked.
      const tokenSign = this.#users.get(username)?.tokenSign
      const passed = same && (!tokenSign?.mfa || (login.signed !== undefined && isSigned(tokenSign, login.signed)))
      if (user?.role === role) await this.#lockout.note(user, passed)
      return passed && this.#users.has(username)
    })
    if (!succeeded) throw new HsmError('LoginFailed', 'login failed: user name, role or password is wrong')
    return { username, role }
  }

  /** For admins. Throws UserExists, LimitExceeded, NotEnoughCopies. */
  async create({ username, role, password }: UserName & { password: string }): Promise<void> {
    const refuse = () => {
      if (this.#users.has(username) || username === APPLIANCE_USER) {
        throw new HsmError('UserExists', `there is a user ${username} already`)
      }
      const coming = [...this.#creating].filter((name) => name !== username && !this.#users.has(name))
      requireRoomForUser(this.#options.hsmType(), this.#users.size + coming.length)
    }
    refuse()
    await this.#alone(username, async () => {
      this.#creating.add(username)
      try {
        const user = { username, role, password: await this.#passwords.hash(password) }
        refuse()
        // What was shared on an HSM that had not heard yet that the last user of that name was deleted.
        await this.#options.endSharing(username)
        refuse()
        await this.#write(username, user)
      } finally {
        this.#creating.delete(username)
      }
    })
  }

  /**
   * For admins. Throws UserNotFound, PermissionDenied for an owner of keys and for the last admin, and NotEnoughCopies: an
   * admin is deleted by a majority of the HSMs, any other user by two.
   */
  async delete({ username, role }: UserName): Promise<void> {
    const user = this.#find(username, role)
    if (this.#options.ownsKeys(username)) {
      throw new HsmError('PermissionDenied', `${username} owns keys: delete them first`)
    }
    if (role !== 'admin') {
      return this.#alone(username, async () => {
        await this.#write(username, undefined)
        // What cannot be written now is when somebody comes under the name.
        await this.#options.endSharing(username).catch(() => undefined)
      })
    }
    const refuse = () => this.#requireAdminsBeside(username)
    refuse()
    await this.#alone(username, () => this.#leaving.delete(user, refuse))
  }

  /** A deletion of another admin that is under way, here or on another HSM, counts as done. */
  #requireAdminsBeside(username: string): void {
    const others = [...this.#users.values()].filter((user) => user.role === 'admin' && user.username !== username)
    const leaving = others.filter((admin) => this.#changing.has(admin.username) || this.#leaving.has(admin))
    const staying = others.length - leaving.length
    const needed = this.#options.adminsNeeded?.() ?? 1
    if (staying >= needed) return
    const [other] = leaving
    if (other && others.length >= needed) {
      const text = `${other.username} is being deleted or changed: try again, and delete ${other.username} anew if that stays so`
      throw new HsmError('PermissionDenied', text)
    }
    throw new HsmError(
      'PermissionDenied',
      staying === 0
        ? `${username} is the last admin of the cluster`
        : `a quorum value asks for ${needed} admins: lower it first`,
    )
  }

  /**
   * One's own, or anyone's for admins; unlocks the account. Asked so, the key for logins or approvals is forgotten as well.
   * Throws UserNotFound, PermissionDenied.
   */
  async changePassword(
    caller: Caller,
    change: UserName & { password: string; deregisterMfa?: boolean; deregisterQuorum?: boolean },
  ): Promise<void> {
    const { deregisterMfa, deregisterQuorum } = change
    await this.#change(
      caller,
      change,
      (tokenSign) =>
        tokenSign && {
          ...tokenSign,
          ...(deregisterMfa && { mfa: false }),
          ...(deregisterQuorum && { quorum: false }),
        },
    )
  }

  /**
   * Registers a key for logins, or with no `registration` ends the need for one; one's own, or anyone's for admins. The
   * caller made sure that whoever registers has the private key. Throws UserNotFound, PermissionDenied, InvalidRequest.
   */
  async changeMfa(
    caller: Caller,
    change: UserName & {
      registration?: { readonly publicKey: Uint8Array; readonly changeQuorum: boolean } | undefined
      password?: string | undefined
    },
  ): Promise<void> {
    const { registration } = change
    if (registration) requireTokenSignKey(registration.publicKey)
    if (registration?.changeQuorum && caller.username !== change.username) {
      throw new HsmError('PermissionDenied', 'the key for approvals is registered by the user alone')
    }
    await this.#change(caller, change, (tokenSign) =>
      registration ? withLoginKey(tokenSign, registration) : tokenSign && { ...tokenSign, mfa: false },
    )
  }

  /** Registers the caller's key for approvals. Throws InvalidRequest when logins use another one. */
  async registerApprovalKey(caller: Caller, publicKey: Uint8Array): Promise<void> {
    requireTokenSignKey(publicKey)
    await this.#change(caller, caller, (tokenSign) => withApprovalKey(tokenSign, publicKey))
  }

  /** What follows from `registered` becomes the user's key; what serves no purpose any more is forgotten. */
  async #change(
    caller: Caller,
    { username, role, password }: UserName & { password?: string | undefined },
    keyOf: (registered: TokenSign | undefined) => TokenSign | undefined,
  ): Promise<void> {
    if (caller.role !== 'admin' && (caller.username !== username || caller.role !== role)) {
      throw new HsmError('PermissionDenied', 'only an admin changes another user')
    }
    this.#find(username, role)
    await this.#alone(username, async () => {
      const changed = password === undefined ? undefined : await this.#passwords.hash(password)
      const user = this.#find(username, role)
      const tokenSign = keyOf(user.tokenSign)
      await this.#write(username, {
        username: user.username,
        role: user.role,
        password: changed ?? user.password,
        ...(tokenSign && (tokenSign.mfa || tokenSign.quorum) && { tokenSign }),
      })
    })
  }

  #requireSignature({ username, role, signed }: UserName & { signed?: SignedLogin | undefined }): void {
    const user = this.#users.get(username)
    // That there is a key is no secret: `user list` says so to anyone.
    if (user?.role !== role || !user.tokenSign?.mfa || signed) return
    throw new HsmError('MfaRequired', `${username} logs in with a signed token: login mfa-token-sign`)
  }

  #find(username: string, role: Role): User {
    const user = this.#users.get(username)
    if (user?.role !== role) throw new HsmError('UserNotFound', `there is no user ${username} with the role ${role}`)
    return user
  }

  async #write(username: string, user: UserRecord | undefined, atLeast = 2): Promise<void> {
    const copies = Math.min(atLeast, Math.max(1, this.#options.replication.members().length))
    await writeReplicated(this.#options, [{ path: userPath(username), value: user && encodeUser(user) }], {
      copies,
      refusal: 'the change of users was undone: it must be held by at least 2 HSMs, and no other HSM took it in time',
    })
  }

  async #alone(username: string, change: () => Promise<void>): Promise<void> {
    if (this.#changing.has(username)) throw new HsmError('Busy', `${username} is being changed by someone else`)
    this.#changing.add(username)
    try {
      await change()
    } finally {
      this.#changing.delete(username)
    }
  }

  #take(record: FeedEntry): void {
    this.#leaving.take(record)
    const username = usernameOf(record.path)
    if (username === undefined) return
    this.#activated = true
    const standing = this.#users.get(username)
    if (record.value === undefined) {
      if (this.#users.delete(username)) this.#options.onDeleted(username)
      this.#lockout.changed(standing, undefined)
      return
    }
    const user = { ...decodeUser(record.value), seq: record.seq }
    // Deleted and made anew before this HSM heard of either: another user, under the name of the one before.
    if (standing && standing.id !== user.id) this.#options.onDeleted(username)
    this.#users.set(username, user)
    this.#lockout.changed(standing, user)
  }

  #coverage(seq: number): UserInfo['coverage'] {
    const { replication } = this.#options
    return replication.copies(seq) >= replication.members().length ? 'full' : 'partial'
  }
}

const unlisted = (username: string, role: UserInfo['role']): UserInfo => ({
  username,
  role,
  locked: false,
  mfa: false,
  quorum: false,
  coverage: 'full',
})

const isSigned = ({ publicKey }: TokenSign, { preimage, signature }: SignedLogin) =>
  isSignedToken(publicKey, preimage, signature)

const locked = (username: string) =>
  new HsmError('UserLocked', `${username} is locked after too many wrong passwords: an admin must change the password`)
