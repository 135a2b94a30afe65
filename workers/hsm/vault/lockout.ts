/**
 * Which accounts are locked on this HSM (data-plane reference §1.3). Consecutive failures are counted in memory; that an
 * account is locked is kept. Each HSM counts for itself.
 */
import type { RecordStore } from './record-store.ts'
import type { UserRecord } from './user-record.ts'

/** One more failure in a row than this locks an account, on this HSM. */
export const MAX_FAILURES = 5

type Locked = Pick<UserRecord, 'username' | 'password'>

export class Lockout {
  readonly #local: RecordStore['local']
  readonly #failures = new Map<string, number>()

  constructor(local: RecordStore['local']) {
    this.#local = local
  }

  /** Whether it is locked. A lock is for the password that was guessed at: another one ends it. */
  isLocked(user: Locked): boolean {
    if ((this.#failures.get(user.username) ?? 0) > MAX_FAILURES) return true
    const lock = this.#local.get(lockName(user))
    return lock !== undefined && Buffer.from(lock).equals(lockOf(user))
  }

  /** An attempt on the account is over. */
  async note(user: Locked, succeeded: boolean): Promise<void> {
    if (succeeded) return void this.#failures.delete(user.username)
    const failures = (this.#failures.get(user.username) ?? 0) + 1
    this.#failures.set(user.username, failures)
    if (failures > MAX_FAILURES) await this.#local.put(lockName(user), lockOf(user))
  }

  /** The account has this state from now on, or is gone: failures at another password count no more. */
  changed(before: Locked | undefined, now: Locked | undefined): void {
    if (!before || (now && lockOf(before).equals(lockOf(now)))) return
    this.#failures.delete(before.username)
  }
}

const lockName = ({ username }: Locked) => `lockout/${username}`
/** Every password has a salt of its own, on every HSM the same. */
const lockOf = ({ password }: Locked) => Buffer.from(Buffer.from(password.salt).toString('hex'))
