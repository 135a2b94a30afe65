/**
 * One connection to each HSM of a cluster. It starts from the addresses it is given, asks whoever answers who the
 * members are, connects to all of them, and follows the cluster as HSMs come and go.
 */
import { Endpoint, type EndpointEvents } from './endpoint.ts'
import { ClientError } from './errors.ts'
import { addressOf, type Link, type LinkOptions, type ServerAddress, type Session } from './link.ts'
import { rootMessage } from './trust.ts'

export interface PoolOptions extends LinkOptions {
  readonly servers: readonly ServerAddress[]
  /** Refuse HSMs of any other cluster; without it, of any other than the first that answers. */
  readonly clusterId?: string | undefined
  /** How long a request waits for an HSM while none is connected. */
  readonly unreachableTimeoutMs: number
  readonly log: (level: 'info' | 'warn', message: string) => void
}

/** How long a question to each HSM waits for those that are still being connected. */
export const SETTLE_MS = 2_000
/** Rounds of asking HSMs that came up, or back, while a login was under way. */
const MAX_LOGIN_ROUNDS = 5

export class Pool {
  readonly #options: PoolOptions
  readonly #endpoints = new Set<Endpoint>()
  /** Every endpoint's end, also of those that are no longer in use. */
  readonly #ending = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  readonly #waiters = new Set<() => void>()
  #clusterId: string | undefined
  #session: Session | undefined
  /** Whether an HSM has taken the session's password: only then is it tried again where it is refused. */
  #confirmed = false
  #turn = 0

  constructor(options: PoolOptions) {
    this.#options = options
    this.#clusterId = options.clusterId
  }

  get session(): Session | undefined {
    return this.#session
  }

  /** How long a request waits while no HSM can take it, in milliseconds. */
  get patienceMs(): number {
    return this.#options.unreachableTimeoutMs
  }

  /** Fires when the pool is closed. */
  get signal(): AbortSignal {
    return this.#closing.signal
  }

  get endpoints(): readonly Endpoint[] {
    return [...this.#endpoints]
  }

  get links(): Link[] {
    return [...this.#endpoints].flatMap(({ link }) => (link?.usable ? [link] : []))
  }

  /**
   * Connects, and comes back with the first HSM that answers; the others follow in the background. Throws when every
   * address failed once.
   */
  async start(): Promise<Link> {
    for (const server of this.#options.servers) this.#ensure(server)
    for (;;) {
      const [link] = this.links
      if (link) return link
      if (this.signal.aborted || [...this.#endpoints].every(({ attempted }) => attempted)) throw this.unreachable()
      await this.changed(1_000)
    }
  }

  /** Waits until every known HSM is connected or has failed once, but no longer than this. */
  async settled(timeoutMs: number): Promise<void> {
    const end = Date.now() + timeoutMs
    const connecting = () => [...this.#endpoints].some(({ attempted }) => !attempted)
    while (connecting() && Date.now() < end && !this.signal.aborted) await this.changed(end - Date.now())
  }

  /**
   * The connection with the fewest requests under way: of those that are logged in, when somebody is. `avoid` names
   * connections that were tried already.
   */
  pick(avoid: ReadonlySet<Link>, anyone = false): Link | undefined {
    const links = this.links
    const start = this.#turn++ % Math.max(1, links.length)
    let best: Link | undefined
    for (const link of [...links.slice(start), ...links.slice(0, start)]) {
      if (avoid.has(link) || (!anyone && this.#session && link.session !== this.#session)) continue
      if (!best || link.outstanding < best.outstanding) best = link
    }
    return best
  }

  /** As `pick`, but waits for a connection while there is none. Throws NoHsmReachable, or why no HSM takes the login. */
  async wait(anyone = false): Promise<Link> {
    const nothing = new Set<Link>()
    for (const end = Date.now() + this.#options.unreachableTimeoutMs; ;) {
      if (this.signal.aborted) throw new ClientError('Closed', 'the client is closed')
      const link = this.pick(nothing, anyone)
      if (link) return link
      const links = this.links
      const refusal = links.find((each) => each.refusal)?.refusal
      const left = end - Date.now()
      if (refusal && (left <= 0 || links.every((each) => each.refusal))) throw refusal
      if (left <= 0) throw this.unreachable()
      await this.changed(left)
    }
  }

  /** Resolves at the next change of any connection, at the latest after so long. */
  changed(timeoutMs: number): Promise<void> {
    if (this.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#waiters.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, Math.max(0, timeoutMs))
      this.#waiters.add(wake)
    })
  }

  /**
   * Logs in on every connected HSM, and from now on on every one that is connected later. One HSM that takes the login
   * is enough; throws what an HSM said when none does.
   */
  async logIn(session: Session): Promise<void> {
    if (this.#session) throw new ClientError('AlreadyLoggedIn', `${this.#session.username} is logged in already`)
    this.#session = session
    try {
      await this.#logInAnywhere(session)
    } catch (error) {
      // A logout meanwhile has ended it, and somebody else may be logged in by now.
      if (this.#session !== session) throw this.#overtaken(error)
      await this.logOut()
      throw error
    }
    if (this.#session !== session) throw this.#overtaken()
    this.#confirmed = true
    for (const link of this.links) void this.#logInLater(link, session)
  }

  /** Ends the login everywhere and wipes the password. */
  async logOut(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    this.#confirmed = false
    session?.password.wipe()
    await Promise.all(this.links.map((link) => link.logOut()))
  }

  /** Closes every connection and waits until no socket or timer is left. */
  async close(): Promise<void> {
    const endpoints = [...this.#endpoints]
    this.#closing.abort()
    this.#session?.password.wipe()
    this.#session = undefined
    this.#wake()
    await Promise.all([...endpoints.map((endpoint) => endpoint.stop('at once')), ...this.#ending])
  }

  /** Why no HSM can be asked, address by address. */
  unreachable(): ClientError {
    const failures = [...this.#endpoints].flatMap(({ lastError }) => (lastError ? [lastError] : []))
    const own = failures.filter((error) => error instanceof ClientError)
    if (own[0] && own.length === failures.length) {
      return new ClientError(own[0].code, own.map(({ message }) => message).join('; '), { cause: own[0] })
    }
    const addresses = [...this.#endpoints].map(
      ({ server, lastError }) => `${addressOf(server)} (${lastError ? rootMessage(lastError) : 'not connected yet'})`,
    )
    return new ClientError('NoHsmReachable', `no HSM of the cluster can be reached: ${addresses.join(', ')}`, {
      cause: failures[0],
    })
  }

  /** Each HSM is asked once: one that has not heard of a new user yet is no reason to fail, but each try counts. */
  async #logInAnywhere(session: Session): Promise<void> {
    const refused = new Set<Link>()
    for (let attempt = 0; attempt < MAX_LOGIN_ROUNDS; attempt++) {
      await this.wait(true)
      const links = this.links.filter((link) => !refused.has(link))
      if (links.length === 0) break
      const outcomes = await Promise.allSettled(links.map((link) => link.logIn(session, this.signal)))
      if (outcomes.some(({ status }) => status === 'fulfilled')) return
      // An HSM that was lost meanwhile said nothing about the password.
      for (const link of links) if (link.usable) refused.add(link)
      if (refused.size > 0) await this.settled(SETTLE_MS)
    }
    for (const { refusal } of refused) if (refusal) throw refusal
    throw this.unreachable()
  }

  #overtaken(cause?: unknown): ClientError {
    return this.signal.aborted
      ? new ClientError('Closed', 'the client is closed', { cause })
      : new ClientError('LoggedOut', 'a logout came before the login was done', { cause })
  }

  async #logInLater(link: Link, session: Session): Promise<void> {
    await link.logInLater(session, this.signal)
    if (link.refusal) this.#options.log('warn', `HSM ${link.hello.hsmId} refused the login: ${link.refusal.message}`)
    this.#wake()
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake()
  }

  #ensure(server: ServerAddress, hsmId?: string): void {
    for (const endpoint of this.#endpoints) {
      const here = sameAddress(endpoint.server, server)
      if (here) endpoint.hsmId ??= hsmId
      if (here || (hsmId !== undefined && endpoint.hsmId === hsmId)) return
    }
    const endpoint = new Endpoint(server, hsmId)
    this.#endpoints.add(endpoint)
    endpoint.start(this.#options, this.#events)
  }

  #drop(endpoint: Endpoint, atOnce?: 'at once'): void {
    this.#endpoints.delete(endpoint)
    const ending = endpoint.stop(atOnce)
    this.#ending.add(ending)
    void ending.then(() => this.#ending.delete(ending))
  }

  readonly #events: EndpointEvents = {
    up: (endpoint, link) => {
      const { hsmId, clusterId } = link.hello
      this.#clusterId ??= clusterId
      if (clusterId !== this.#clusterId) {
        endpoint.lastError = new ClientError(
          'WrongCluster',
          `${addressOf(link.server)} belongs to ${clusterId}, not to ${this.#clusterId}`,
        )
        this.#options.log('warn', endpoint.lastError.message)
        this.#wake()
        void link.close()
        return
      }
      const twin = [...this.#endpoints].some(
        (other) => other !== endpoint && other.link?.usable && other.link.hello.hsmId === hsmId,
      )
      if (twin || !this.#endpoints.has(endpoint)) {
        this.#drop(endpoint, 'at once')
        this.#wake()
        return
      }
      this.#options.log('info', `connected to HSM ${hsmId} at ${addressOf(link.server)}`)
      if (this.#session && this.#confirmed) void this.#logInLater(link, this.#session)
      this.#follow()
      this.#wake()
    },
    down: (endpoint, link, why) => {
      if (!this.signal.aborted && this.#endpoints.has(endpoint)) {
        this.#options.log('warn', `lost HSM ${link.hello.hsmId}: ${why ? rootMessage(why) : 'closed'}`)
        this.#follow()
      }
      this.#wake()
    },
    failed: (endpoint, error) => {
      if (this.signal.aborted || !this.#endpoints.has(endpoint)) return
      this.#options.log('warn', `${addressOf(endpoint.server)}: ${rootMessage(error)}`)
      this.#follow()
      this.#wake()
    },
    members: () => this.#follow(),
  }

  /** Connects to members that are new and drops what is none. */
  #follow(): void {
    if (this.signal.aborted) return
    const links = this.links
    if (links.length === 0) {
      for (const server of this.#options.servers) this.#ensure(server)
      return
    }
    const wishes = wantedMembers(links)
    // First those that go: a new HSM may listen where one that was removed did.
    for (const endpoint of this.#endpoints) if (!isWanted(endpoint, wishes)) this.#drop(endpoint)
    for (const [hsmId, server] of wishes) this.#ensure(server, hsmId)
  }
}

/** A configured address that never answered, while the cluster's own list names only others, is stale. */
function isWanted({ hsmId, attempted, server }: Endpoint, wishes: ReadonlyMap<string, ServerAddress>): boolean {
  if (hsmId !== undefined) return wishes.has(hsmId)
  return !attempted || [...wishes.values()].some((wish) => sameAddress(wish, server))
}

const sameAddress = (a: ServerAddress, b: ServerAddress) => a.hostname === b.hostname && a.port === b.port

/**
 * Who is to be connected to: every HSM that another one names. An HSM's own word for itself counts only while no other
 * names any (it is the only one connected, or each is for itself while a change of the HSM type is rolled back), because
 * one that was removed may be the last to hear of it.
 */
function wantedMembers(links: readonly Link[]): Map<string, ServerAddress> {
  const wishes = new Map<string, ServerAddress>()
  for (const link of links) {
    for (const { hsmId, address } of link.members) {
      if (hsmId === link.hello.hsmId) continue
      wishes.set(hsmId, { hostname: address, port: link.server.port })
    }
  }
  if (links.length === 1 || wishes.size === 0) for (const { hello, server } of links) wishes.set(hello.hsmId, server)
  return wishes
}
