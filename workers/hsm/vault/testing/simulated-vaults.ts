/**
 * The vaults of simulated HSMs: the code that makes, changes, shares and deletes keys and registers users' keys, over
 * replicators on a simulated network. Only passwords are hashed cheaply: what scrypt takes is the machine's own time.
 */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { generateSecret } from '../../mechanisms/secret-keys.ts'
import { HsmError } from '../../protocol/errors.ts'
import { SimulatedCluster, type SimulatedHsm, type Weather } from '../../replication/testing/simulation.ts'
import { fleetPki } from '../../testing/pki.ts'
import type { KeyOrder } from '../key-order.ts'
import { setAttributes, setShared } from '../key-management.ts'
import { decodeKey, handleOf } from '../key-record.ts'
import { Keys } from '../keys.ts'
import type { FeedEntry } from '../record-store.ts'
import { encodeUser, userPath } from '../user-record.ts'
import { Users } from '../users.ts'
import { cheapHash, cheapPasswords, simulatedThrottle } from './cheap-passwords.ts'

export const CALM: Weather = { delayMs: 2, loss: 0, diskMs: 2 }
export const STORM: Weather = { delayMs: 40, loss: 0.02, duplication: 0.05, diskMs: 10 }
const OWNER = { username: 'owner', role: 'crypto-user' } as const
const SHAREES = 40

const pki = fleetPki()
/** Of the users that there are from the beginning. */
export const FIRST_PASSWORD = 'first-password'
const approvalKeys = [1, 2].map(() =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' }),
)

/** What somebody asked an HSM for, and what came of it; `unanswered` as from an HSM that was killed. */
export interface Asked {
  outcome: 'unanswered' | 'done' | HsmError
}

export interface MadeKeys extends Asked {
  readonly token: boolean
  /** Known when they were made. */
  handles: readonly string[]
  readonly shared: (Asked & { readonly username: string; readonly handle: string })[]
  readonly renamed: (Asked & { readonly label: string; readonly handle: string })[]
  /** Of the first of them. */
  readonly deleted: Asked[]
}

export interface Vault {
  readonly keys: Keys
  readonly users: Users
  /** One login, which ends with the HSM's process. */
  readonly scope: { readonly handles: Set<string> }
}

export interface Dimensions {
  /** HSMs, of which the last joins later. */
  readonly count: number
  /** Of the calm before the storm and after it: longer than any back-off, call and pull interval together. */
  readonly calmMs: number
}

export class SimulatedVaults {
  readonly simulated: SimulatedCluster
  readonly made: MadeKeys[] = []
  readonly registered: Asked[] = []
  /** Handles that two keys had, anywhere, ever: none of them deleted, undone or ended counts as gone. */
  readonly collisions: string[] = []
  /** Errors that no refusal explains. */
  readonly defects: unknown[] = []
  /** Every commit of every HSM in its order, with its time; handles by the order in which they were first seen. */
  readonly trace: string[] = []
  /** Told of every commit of every HSM. */
  watch: (hsm: SimulatedHsm, entry: FeedEntry, origin: 'local' | 'peer') => void = () => undefined
  readonly #vaults = new Map<SimulatedHsm, Vault>()
  readonly #materialOf = new Map<string, string>()
  readonly #numbers = new Map<string, number>()
  readonly #joined = new Set<SimulatedHsm>()
  readonly #members: number
  readonly #calmMs: number
  #joining = false

  constructor({ count, calmMs }: Dimensions, seed: number) {
    this.#members = count - 1
    this.#calmMs = calmMs
    this.simulated = new SimulatedCluster(pki, { count, seed, weather: CALM })
  }

  get hsms(): readonly SimulatedHsm[] {
    return this.simulated.hsms.filter((hsm) => this.#joined.has(hsm))
  }

  async begin(): Promise<void> {
    const { simulated } = this
    const first = simulated.hsms.slice(0, this.#members)
    await simulated.setMembers(first.map(({ id }) => id))
    for (const [i, hsm] of first.entries()) {
      await this.start(hsm, i === 0)
      if (i > 0) await simulated.clock.runUntil(simulated.join(hsm))
      this.#joined.add(hsm)
    }
    const names = [OWNER.username, ...Array.from({ length: SHAREES }, (_, i) => `user_${i}`)]
    const users = names.map(
      (username) => ({ username, role: 'crypto-user', password: cheapHash(FIRST_PASSWORD) }) as const,
    )
    const writes = users.map((user) => ({ path: userPath(user.username), value: encodeUser(user) }))
    await simulated.clock.runUntil(first[0]?.running?.store.write(writes) ?? Promise.resolve())
    await simulated.clock.run(this.#calmMs)
    simulated.weather = STORM
  }

  async start(hsm: SimulatedHsm, found = false): Promise<void> {
    const { store, replicator: replication } = await this.simulated.start(hsm, { found })
    store.onCommit((entries, origin) => entries.forEach((entry) => this.#note(hsm, entry, origin)))
    const vaulted = { store, replication, hsmType: () => 'hsm2m.medium' }
    const keys: Keys = new Keys({
      ...vaulted,
      userExists: (username) => users.has(username),
      isCryptoUser: (username) => users.has(username),
      keySeparation: 'trusted',
    })
    const users: Users = new Users({
      ...vaulted,
      ownsKeys: (username) => keys.ownsKeys(username),
      onDeleted: (username) => keys.endSessionSharing(username),
      endSharing: (username) => keys.endSharing(username),
      passwords: cheapPasswords(this.simulated.clock),
      throttle: simulatedThrottle(this.simulated.clock),
    })
    this.#vaults.set(hsm, { keys, users, scope: { handles: new Set() } })
  }

  async join(): Promise<void> {
    const { simulated } = this
    const newcomer = simulated.hsms.at(-1)
    if (!newcomer || this.#joining) return
    this.#joining = true
    await simulated.setMembers(simulated.hsms.map(({ id }) => id))
    await this.start(newcomer)
    void simulated.join(newcomer).then(
      () => this.#joined.add(newcomer),
      () => simulated.crash(newcomer),
    )
  }

  /** Nothing passes between the HSMs of a zone and all others. */
  severZone(isInside: (index: number) => boolean): void {
    const { hsms } = this.simulated
    for (const [i, one] of hsms.entries()) {
      for (const [j, other] of hsms.entries()) {
        if (i < j && isInside(i) !== isInside(j)) this.simulated.sever(one, other)
      }
    }
  }

  /** Nothing that is asked for is waited for. */
  create(hsm: SimulatedHsm, { token, pair }: { token: boolean; pair: boolean }): void {
    const vault = this.running(hsm)
    if (!vault) return
    const made: MadeKeys = { token, handles: [], shared: [], renamed: [], deleted: [], outcome: 'unanswered' }
    this.made.push(made)
    const order: KeyOrder = { class: 'secret-key', template: { token } }
    const orders = pair ? [order, order] : [order]
    const creating = vault.keys.create({
      owner: OWNER,
      scope: vault.scope,
      requireTwoCopies: true,
      orders,
      generate: () => orders.map(() => generateSecret('aes', 32)),
    })
    this.await(made, creating, (keys) => {
      made.handles = keys.map(({ handle }) => handle)
      for (const handle of made.handles) this.#requireOneKey(handle, vault.keys.visible(OWNER, handle).material)
    })
  }

  /** With a user whom nothing else is shared with. */
  share(hsm: SimulatedHsm, ago: number): void {
    const vault = this.running(hsm)
    const made = this.made.at(-1 - ago)
    const [handle] = made?.handles ?? []
    if (!vault || !made || handle === undefined) return
    const username = `user_${this.made.reduce((sum, { shared }) => sum + shared.length, 0) % SHAREES}`
    const asked = { username, handle, outcome: 'unanswered' as const }
    made.shared.push(asked)
    this.await(asked, setShared(vault.keys, OWNER, { handle, username, shared: true }))
  }

  rename(hsm: SimulatedHsm, ago: number): void {
    const vault = this.running(hsm)
    const made = this.made.at(-1 - ago)
    const [handle] = made?.handles ?? []
    if (!vault || !made || handle === undefined) return
    const label = `label ${made.renamed.length}`
    const asked = { label, handle, outcome: 'unanswered' as const }
    made.renamed.push(asked)
    this.await(asked, setAttributes(vault.keys, OWNER, handle, { label }))
  }

  delete(hsm: SimulatedHsm, ago: number): void {
    const vault = this.running(hsm)
    const made = this.made.at(-1 - ago)
    const [handle] = made?.handles ?? []
    if (!vault || !made || handle === undefined) return
    const asked: Asked = { outcome: 'unanswered' }
    made.deleted.push(asked)
    this.await(asked, vault.keys.delete(OWNER, handle))
  }

  /** A user's key for approvals. */
  register(hsm: SimulatedHsm, user: number): void {
    const vault = this.running(hsm)
    const publicKey = approvalKeys[this.registered.length % approvalKeys.length]
    if (!vault || !publicKey) return
    const asked: Asked = { outcome: 'unanswered' }
    this.registered.push(asked)
    this.await(asked, vault.users.registerApprovalKey({ username: `user_${user}`, role: 'crypto-user' }, publicKey))
  }

  /** Nothing disturbs them any more; `lost` never comes back. */
  async settle(lost?: SimulatedHsm): Promise<void> {
    if (lost && this.#joined.delete(lost)) this.simulated.crash(lost)
    this.simulated.weather = CALM
    this.simulated.heal()
    for (const hsm of this.hsms) if (!hsm.running) await this.start(hsm)
    await this.simulated.clock.run(this.#calmMs)
  }

  keysOn(hsm: SimulatedHsm): Keys {
    const keys = this.#vaults.get(hsm)?.keys
    if (!keys) throw new Error(`${hsm.id} never ran`)
    return keys
  }

  usersOn(hsm: SimulatedHsm): Users {
    const users = this.#vaults.get(hsm)?.users
    if (!users) throw new Error(`${hsm.id} never ran`)
    return users
  }

  end(): void {
    for (const hsm of this.simulated.hsms) this.simulated.crash(hsm)
  }

  /** The vault of an HSM that is a member and runs. */
  running(hsm: SimulatedHsm): Vault | undefined {
    return hsm.running && this.#joined.has(hsm) ? this.#vaults.get(hsm) : undefined
  }

  /** Notes down what comes of it. */
  await<Result>(asked: Asked, work: Promise<Result>, done: (result: Result) => void = () => undefined): void {
    work
      .then((result) => {
        asked.outcome = 'done'
        done(result)
      })
      .catch((error: unknown) => {
        if (error instanceof HsmError) asked.outcome = error
        else this.defects.push(error)
      })
  }

  #note(hsm: SimulatedHsm, entry: FeedEntry, origin: 'local' | 'peer'): void {
    this.watch(hsm, entry, origin)
    const { path, value, version } = entry
    const handle = handleOf(path)
    if (handle !== undefined && value) this.#requireOneKey(handle, decodeKey(value).material)
    const named = path.replace(/0x[0-9a-f]+/, (found) => `#${this.#number(found)}`)
    const what = `${named} ${value ? 'is' : 'gone'} ${version.counter} ${version.hsmId}`
    this.trace.push(`${this.simulated.clock.now} ${hsm.id} ${origin} ${what}`)
  }

  #requireOneKey(handle: string, material: Uint8Array): void {
    const hash = createHash('sha256').update(material).digest('hex')
    const known = this.#materialOf.get(handle)
    if (known !== undefined && known !== hash) this.collisions.push(handle)
    this.#materialOf.set(handle, hash)
  }

  #number(handle: string): number {
    const number = this.#numbers.get(handle) ?? this.#numbers.size
    this.#numbers.set(handle, number)
    return number
  }
}
