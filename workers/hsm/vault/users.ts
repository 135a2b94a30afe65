/** The users of a cluster (data-plane reference §1): their records, passwords, lockout, and who may change whom. */
import { HsmError } from '../protocol/errors.ts'
import type { Role, UserInfo } from '../protocol/values.ts'
import { requireRoomForUser } from '../policy/hsm-types.ts'
import type { Caller } from '../policy/roles.ts'
import { LoginThrottle } from './login-throttle.ts'
import { hashPassword, isPassword } from './passwords.ts'
import type { FeedEntry, RecordStore } from './record-store.ts'
import { writeReplicated, type Vaulted } from './replicated-write.ts'
import { decodeUser, encodeUser, usernameOf, userPath, type UserRecord } from './user-record.ts'

/** One more failure in a row than this locks an account, on this HSM (§1.3). */
export const MAX_FAILURES = 5
/** Always listed, never a login (§1.1). */
const APPLIANCE_USER = 'app_user'
const FIRST_ADMIN = 'admin'

interface User extends UserRecord {
  readonly seq: number
  readonly version: FeedEntry['version']
}

export interface UsersOptions extends Vaulted {
  readonly hsmType: () => string
  readonly ownsKeys: (username: string) => boolean
  /** Told when a user is gone: whoever is logged in so no longer is. */
  readonly onDeleted: (username: string) => void
}

export class Users {
  readonly #options: UsersOptions
  readonly #users = new Map<string, User>()
  readonly #failures = new Map<string, number>()
  readonly #throttle = new LoginThrottle()
  /** Users with a change under way: a second one would be decided on what the first is about to change. */
  readonly #changing = new Set<string>()

  constructor(options: UsersOptions) {
    this.#options = options
    for (const entry of options.store.feedAfter(0, Infinity)) this.#take(entry)
    options.store.onCommit((entries) => entries.forEach((entry) => this.#take(entry)))
  }

  /** Whether the cluster has its first admin. */
  get activated(): boolean {
    return this.#users.size > 0
  }

  get count(): number {
    return this.#users.size
  }

  has(username: string): boolean {
    return this.#users.has(username)
  }

  list(): UserInfo[] {
    const users: UserInfo[] = [...this.#users.values()]
      .sort((a, b) => (a.username < b.username ? -1 : 1))
      .map((user) => ({
        username: user.username,
        role: user.role,
        locked: this.#isLocked(user),
        coverage: this.#coverage(user.seq),
      }))
    if (!this.activated) {
      users.push({ username: FIRST_ADMIN, role: 'unactivated-admin', locked: false, coverage: 'full' })
    }
    return [...users, { username: APPLIANCE_USER, role: 'internal(APPLIANCE_USER)', locked: false, coverage: 'full' }]
  }

  /** The first admin's password turns the unactivated admin into the admin `admin`. Throws AlreadyActivated. */
  async activate(password: string): Promise<void> {
    const refuse = () => {
      if (this.activated) throw new HsmError('AlreadyActivated', 'the cluster is activated already')
    }
    refuse()
    await this.#alone(FIRST_ADMIN, async () => {
      const user = { username: FIRST_ADMIN, role: 'admin', password: await hashPassword(password) } as const
      refuse()
      await this.#write(FIRST_ADMIN, user)
    })
  }

  /** Throws LoginFailed, the same for an unknown name and a wrong password; UserLocked; Busy. */
  async login(login: { username: string; role: Role; password: string }, address: string): Promise<Caller> {
    const { username, role } = login
    const succeeded = await this.#throttle.attempt(username, address, async () => {
      const user = this.#users.get(username)
      if (user && this.#isLocked(user)) throw locked(username)
      const same = await isPassword(login.password, user?.role === role ? user.password : undefined)
      // Whoever locked the account while this guess was checked locked this guess out too.
      if (user && this.#isLocked(user)) throw locked(username)
      if (user?.role === role) await this.#note(user, same)
      return same && this.#users.has(username)
    })
    if (!succeeded) throw new HsmError('LoginFailed', 'login failed: user name, role or password is wrong')
    return { username, role }
  }

  /** For admins. Throws UserExists, LimitExceeded, NotEnoughCopies. */
  async create({ username, role, password }: { username: string; role: Role; password: string }): Promise<void> {
    const refuse = () => {
      if (this.#users.has(username) || username === APPLIANCE_USER) {
        throw new HsmError('UserExists', `there is a user ${username} already`)
      }
      requireRoomForUser(this.#options.hsmType(), this.#users.size)
    }
    refuse()
    await this.#alone(username, async () => {
      const user = { username, role, password: await hashPassword(password) }
      refuse()
      await this.#write(username, user)
    })
  }

  /** For admins. Throws UserNotFound, and PermissionDenied for an owner of keys and for the last admin. */
  async delete({ username, role }: { username: string; role: Role }): Promise<void> {
    this.#find(username, role)
    if (this.#options.ownsKeys(username)) {
      throw new HsmError('PermissionDenied', `${username} owns keys: delete them first`)
    }
    const admins = [...this.#users.values()].filter((user) => user.role === 'admin')
    // A deletion of the other admin that is under way counts as done.
    const staying = admins.filter((admin) => admin.username !== username && !this.#changing.has(admin.username))
    if (role === 'admin' && staying.length === 0) {
      throw new HsmError('PermissionDenied', `${username} is the last admin of the cluster`)
    }
    await this.#alone(username, () => this.#write(username, undefined))
  }

  /** One's own, or anyone's for admins; unlocks the account. Throws UserNotFound, PermissionDenied. */
  async changePassword(
    caller: Caller,
    { username, role, password }: { username: string; role: Role; password: string },
  ): Promise<void> {
    if (caller.role !== 'admin' && (caller.username !== username || caller.role !== role)) {
      throw new HsmError('PermissionDenied', "only an admin changes another user's password")
    }
    this.#find(username, role)
    await this.#alone(username, async () => {
      const hash = await hashPassword(password)
      const user = this.#find(username, role)
      await this.#write(username, { username: user.username, role: user.role, password: hash })
    })
  }

  #find(username: string, role: Role): User {
    const user = this.#users.get(username)
    if (user?.role !== role) throw new HsmError('UserNotFound', `there is no user ${username} with the role ${role}`)
    return user
  }

  async #write(username: string, user: UserRecord | undefined): Promise<void> {
    const copies = Math.min(2, Math.max(1, this.#options.replication.members().length))
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
    const username = usernameOf(record.path)
    if (username === undefined) return
    if (record.value === undefined) {
      if (this.#users.delete(username)) this.#options.onDeleted(username)
      this.#failures.delete(username)
      return
    }
    const user = { ...decodeUser(record.value), seq: record.seq, version: record.version }
    this.#users.set(username, user)
    this.#failures.delete(username)
  }

  #coverage(seq: number): UserInfo['coverage'] {
    const { replication } = this.#options
    return replication.copies(seq) >= replication.members().length ? 'full' : 'partial'
  }

  /** Consecutive failures are counted in memory; that an account is locked is kept. */
  async #note(user: User, succeeded: boolean): Promise<void> {
    if (succeeded) return void this.#failures.delete(user.username)
    const failures = (this.#failures.get(user.username) ?? 0) + 1
    this.#failures.set(user.username, failures)
    if (failures > MAX_FAILURES) await this.#options.store.local.put(lockName(user.username), lockValue(user))
  }

  /** A lock is for the password that was guessed at: a newer record of the user ends it. */
  #isLocked(user: User): boolean {
    if ((this.#failures.get(user.username) ?? 0) > MAX_FAILURES) return true
    return readLock(this.#options.store, user.username)?.equals(lockValue(user)) ?? false
  }
}

const locked = (username: string) =>
  new HsmError('UserLocked', `${username} is locked after too many wrong passwords: an admin must change the password`)

const lockName = (username: string) => `lockout/${username}`
const lockValue = ({ version }: User) => Buffer.from(`${version.counter}@${version.hsmId}`)

function readLock(store: RecordStore, username: string): Buffer | undefined {
  const value = store.local.get(lockName(username))
  return value && Buffer.from(value)
}
