/**
 * Users of simulated HSMs: what is asked for on which HSM, what that HSM knew at the time, and what came of it. The vault's
 * own code does it; passwords and keys for logins are each used once, so that they tell which change stands.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { generateSecret } from '../../mechanisms/secret-keys.ts'
import { HsmError } from '../../protocol/errors.ts'
import type { Role } from '../../protocol/values.ts'
import type { SimulatedHsm } from '../../replication/testing/simulation.ts'
import { recordsOf } from '../contested-records.ts'
import { MAX_FAILURES } from '../lockout.ts'
import type { FeedEntry } from '../record-store.ts'
import { statementIn, subjectOf } from '../statements.ts'
import { decodeUser, usernameOf, userPath, type UserRecord } from '../user-record.ts'
import { decodeSaid, nameOf } from '../user-statements.ts'
import { cheapHash } from './cheap-passwords.ts'
import { FIRST_PASSWORD, type Asked, type Dimensions, SimulatedVaults } from './simulated-vaults.ts'

const ADMIN = { username: 'user_0', role: 'admin' } as const
const pairs = Array.from({ length: 4 }, () => generateKeyPairSync('rsa', { modulusLength: 2048 }))
const publicKeys = pairs.map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'der' }))

/** What is set: a password by its text, a key for logins by its number, none by `null`. */
export type Content = string | number | null

export interface Change extends Asked {
  readonly kind: 'create' | 'delete' | 'password' | 'mfa'
  readonly on: SimulatedHsm
  readonly username: string
  readonly content?: Content
  /** The user that there was on the HSM when this was asked for. */
  readonly target: string | undefined
  /** What the HSM had heard by then of users of this name: their ids, their passwords and keys. */
  readonly known: ReadonlySet<Content>
  /** What it had heard when it answered. */
  knownInTheEnd: ReadonlySet<Content>
  /** Ids of the users that the HSM's statement was about. */
  readonly about: Set<string>
}

export interface Lock {
  readonly on: SimulatedHsm
  readonly username: string
  readonly password: string
}

export interface OwnedKey extends Asked {
  readonly owner: string
  handle?: string
}

/** A user as records keep it, in the words of the test. */
export interface Standing {
  readonly id: string
  readonly role: Role
  readonly password: string
  readonly key: number | null
}

export class SimulatedUsers {
  readonly vaults: SimulatedVaults
  readonly changes: Change[] = []
  readonly locks: Lock[] = []
  readonly ownedKeys: OwnedKey[] = []
  /** Deletions of users of whose keys the HSM knew. */
  readonly deletionsOfOwners: Change[] = []
  readonly #known = new Map<string, Set<Content>>()
  readonly #passwords = new Map([[saltOf(FIRST_PASSWORD), FIRST_PASSWORD]])

  constructor(dimensions: Dimensions, seed: number) {
    this.vaults = new SimulatedVaults(dimensions, seed)
    this.vaults.watch = (hsm, entry, origin) => this.#heard(hsm, entry, origin)
  }

  /** Nothing that is asked for is waited for. */
  create(on: SimulatedHsm, username: string, role: Role): void {
    const password = this.#newPassword()
    this.#change(on, { kind: 'create', username, content: password }, ({ users }) =>
      users.create({ username, role, password }),
    )
  }

  delete(on: SimulatedHsm, username: string): void {
    const role = this.#roleOf(on, username)
    const owns = this.vaults.running(on)?.keys.ownsKeys(username) ?? false
    if (!role) return
    const change = this.#change(on, { kind: 'delete', username }, ({ users }) => users.delete({ username, role }))
    if (change && owns) this.deletionsOfOwners.push(change)
  }

  changePassword(on: SimulatedHsm, username: string): void {
    const role = this.#roleOf(on, username)
    const password = this.#newPassword()
    if (!role) return
    this.#change(on, { kind: 'password', username, content: password }, ({ users }) =>
      users.changePassword(ADMIN, { username, role, password }),
    )
  }

  /** A key for logins that was never used before, or none any more. */
  changeMfa(on: SimulatedHsm, username: string, wanted: boolean): void {
    const role = this.#roleOf(on, username)
    const number = this.changes.filter(({ kind, content }) => kind === 'mfa' && content !== null).length
    const publicKey = publicKeys[number]
    if (!role || (wanted && !publicKey)) return
    const registration = wanted && publicKey ? { publicKey, changeQuorum: false } : undefined
    this.#change(on, { kind: 'mfa', username, content: wanted ? number : null }, ({ users }) =>
      users.changeMfa(ADMIN, { username, role, registration }),
    )
  }

  /** Wrong passwords, one after another, until the account is locked there. */
  guess(on: SimulatedHsm, username: string): void {
    const vault = this.vaults.running(on)
    const before = this.standing(on, username)
    if (!vault || !before) return
    const asked: Asked = { outcome: 'unanswered' }
    const guessing = async () => {
      const signed = this.#signed(before)
      const { role } = before
      for (let i = 0; i <= MAX_FAILURES + 1; i++) {
        const { code } = await vault.users.login({ username, role, password: 'wrong', signed }, 'guesser').then(
          () => assert.fail('a wrong password logs in'),
          (error: unknown) => ({ code: error instanceof HsmError ? error.code : '' }),
        )
        // Whoever changes the user in between ends this: failures at another password count no more.
        const now = this.standing(on, username)
        if (now?.password !== before.password || now.id !== before.id) return
        if (code === 'UserLocked') this.locks.push({ on, username, password: before.password })
      }
    }
    this.vaults.await(asked, guessing())
  }

  makeKey(on: SimulatedHsm, username: string): void {
    const vault = this.vaults.running(on)
    if (!vault || this.#roleOf(on, username) !== 'crypto-user') return
    const owned: OwnedKey = { owner: username, outcome: 'unanswered' }
    this.ownedKeys.push(owned)
    const making = vault.keys.create({
      owner: { username, role: 'crypto-user' },
      scope: vault.scope,
      requireTwoCopies: true,
      orders: [{ class: 'secret-key', template: { token: true } }],
      generate: () => [generateSecret('aes', 32)],
    })
    this.vaults.await(owned, making, ([key]) => {
      if (key) owned.handle = key.handle
    })
  }

  /** Undefined when there is no user of the name on that HSM. */
  standing(on: SimulatedHsm, username: string): Standing | undefined {
    const store = on.running?.store
    const value = store && recordsOf(store).get(userPath(username))?.value
    return value && this.#standingOf(decodeUser(value))
  }

  async login(on: SimulatedHsm, username: string, password: string): Promise<unknown> {
    const user = this.standing(on, username)
    const users = this.vaults.usersOn(on)
    if (!user) throw new Error(`there is no ${username}`)
    const work = users.login({ username, role: user.role, password, signed: this.#signed(user) }, 'somewhere')
    await this.vaults.simulated.clock.runUntil(work)
    return work
  }

  #signed({ key }: Standing) {
    const pair = key === null ? undefined : pairs[key]
    const preimage = randomBytes(64)
    return pair && { preimage, signature: sign('sha256', preimage, pair.privateKey) }
  }

  #standingOf({ id = '', role, password, tokenSign }: UserRecord): Standing {
    const text = this.#passwords.get(Buffer.from(password.salt).toString('hex')) ?? ''
    return { id, role, password: text, key: tokenSign?.mfa ? numberOf(tokenSign.publicKey) : null }
  }

  #roleOf(on: SimulatedHsm, username: string): Role | undefined {
    return this.vaults.running(on) && this.standing(on, username)?.role
  }

  #newPassword(): string {
    const password = `password-${this.#passwords.size}`
    this.#passwords.set(saltOf(password), password)
    return password
  }

  #change(
    on: SimulatedHsm,
    { kind, username, content }: { kind: Change['kind']; username: string; content?: Content },
    work: (vault: NonNullable<ReturnType<SimulatedVaults['running']>>) => Promise<void>,
  ): Change | undefined {
    const vault = this.vaults.running(on)
    if (!vault) return undefined
    const heard = this.#of(on, username)
    const known = new Set(heard)
    const target = this.standing(on, username)?.id
    const asked = { outcome: 'unanswered' as const, target, known, knownInTheEnd: heard, about: new Set<string>() }
    const change: Change = { kind, on, username, ...(content !== undefined && { content }), ...asked }
    this.changes.push(change)
    const working = work(vault).finally(() => (change.knownInTheEnd = new Set(heard)))
    this.vaults.await(change, working)
    return change
  }

  /** What is in a statement that came to an HSM, or was made there. */
  #heard(hsm: SimulatedHsm, entry: FeedEntry, origin: 'local' | 'peer'): void {
    const username = usernameOf(subjectOf(entry.path))
    const statement = username === undefined ? undefined : statementIn(entry)
    if (username === undefined || !statement?.value) return
    const heard = this.#of(hsm, username)
    if (!statement.own) {
      heard.add(FIRST_PASSWORD).add(nameOf({ by: '', nth: entry.version.counter }))
      return
    }
    const { user } = decodeSaid(statement.value)
    if (!user) return
    heard.add(nameOf(user))
    const password = user.password && this.#passwords.get(Buffer.from(user.password.value.salt).toString('hex'))
    const key = user.tokenSign?.value ? numberOf(user.tokenSign.value.publicKey) : null
    for (const content of [password, key]) {
      if (content === undefined || content === null) continue
      heard.add(content)
      if (origin !== 'local') continue
      this.changes.find((each) => each.on === hsm && each.content === content)?.about.add(nameOf(user))
    }
  }

  #of({ id }: SimulatedHsm, username: string): Set<Content> {
    const name = `${id} ${username}`
    const heard = this.#known.get(name) ?? new Set()
    this.#known.set(name, heard)
    return heard
  }
}

function saltOf(password: string): string {
  return Buffer.from(cheapHash(password).salt).toString('hex')
}

function numberOf(publicKey: Uint8Array): number {
  return publicKeys.findIndex((each) => each.equals(publicKey))
}
