/** One connection to one HSM, greeted, and who is logged in on it. */
import type { z } from 'zod'
import { clientEvents, clientOperations, type ClientOperations } from '../../workers/hsm/protocol/client-operations.ts'
import { openConnection, type Connection } from '../../workers/hsm/protocol/connection.ts'
import type { ParamsOf, ResultOf } from '../../workers/hsm/protocol/envelope.ts'
import { HsmError } from '../../workers/hsm/protocol/errors.ts'
import type { Member, Role } from '../../workers/hsm/protocol/values.ts'
import { backoffMs, pause } from './backoff.ts'
import type { Secret } from './secret.ts'
import type { Trust } from './trust.ts'

export type Operation = keyof ClientOperations
export type Params<Op extends Operation> = ParamsOf<ClientOperations, Op>
export type Result<Op extends Operation> = ResultOf<ClientOperations, Op>
export type Hello = z.output<ClientOperations['hello']['result']>

export interface ServerAddress {
  readonly hostname: string
  readonly port: number
}

/** As people write it: an IPv6 address in brackets. */
export function addressOf({ hostname, port }: ServerAddress): string {
  return hostname.includes(':') ? `[${hostname}]:${port}` : `${hostname}:${port}`
}

/** Who is logged in: the same on every HSM of the cluster. */
export interface Session {
  readonly username: string
  readonly role: Role
  password: Secret
  /** Of users with MFA: signatures over the tokens of HSMs, by HSM id. Each is good for one login. */
  readonly signatures?: ReadonlyMap<string, Uint8Array> | undefined
}

export interface LinkOptions {
  readonly trust: Trust
  /** What the client calls itself, for the HSM's log. */
  readonly clientName: string
  readonly connectTimeoutMs: number
  readonly callTimeoutMs: number
}

/** Throttled requests are tried again this often and this far apart (data-plane §6.2). */
export const BUSY_RETRIES = 3
export const BUSY_BACKOFF = { firstMs: 50, maxMs: 1_000 }

/** A password that one HSM refuses though another took it may still be on its way there; but each try counts. */
const LOGIN_RETRY_MS = [500, 3_000] as const

export class Link {
  readonly server: ServerAddress
  readonly hello: Hello
  readonly closed: Promise<Error | undefined>
  /** The cluster's HSMs as this one knows them. */
  members: readonly Member[]
  /** The session whose login this HSM has taken. */
  session: Session | undefined
  /** Why this HSM does not take the login, when it does not. */
  refusal: Error | undefined
  /** No new requests: the HSM leaves the cluster. */
  retiring = false
  readonly #connection: Connection<ClientOperations>
  #login: { session: Session; done: Promise<void> } | undefined

  constructor(server: ServerAddress, connection: Connection<ClientOperations>, hello: Hello) {
    this.server = server
    this.hello = hello
    this.members = hello.members
    this.closed = connection.closed
    this.#connection = connection
  }

  get usable(): boolean {
    return this.#connection.usable && !this.retiring
  }

  get outstanding(): number {
    return this.#connection.outstanding
  }

  call<Op extends Operation>(op: Op, params: Params<Op>): Promise<Result<Op>> {
    return this.#connection.call(op, params)
  }

  /**
   * Logs the session in on this HSM, once however often it is asked for. Throws what the HSM refuses with.
   */
  logIn(session: Session, signal: AbortSignal): Promise<void> {
    if (this.#login?.session !== session) this.#login = { session, done: this.#tryLogin(session, signal) }
    return this.#login.done
  }

  /** Ends the login. A connection that does not confirm it is closed, which ends it as well. */
  async logOut(): Promise<void> {
    const login = this.#login
    this.#login = undefined
    this.session = undefined
    this.refusal = undefined
    if (!login) return
    try {
      await login.done
    } catch {
      return // it never was logged in
    }
    this.session = undefined
    try {
      await this.call('logout', {})
    } catch {
      await this.close()
    }
  }

  /** Lets requests under way finish, for at most five seconds, then closes. */
  async retire(signal: AbortSignal): Promise<void> {
    this.retiring = true
    for (let waited = 0; this.outstanding > 0 && waited < 5_000 && !signal.aborted; waited += 20)
      await pause(20, signal)
    await this.close()
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async #tryLogin(session: Session, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        const { username, role, password, signatures } = session
        const mfaSignature = signatures?.get(this.hello.hsmId)
        await this.call('login', { username, role, password: password.reveal(), ...(mfaSignature && { mfaSignature }) })
        this.session = session
        this.refusal = undefined
        return
      } catch (error) {
        const busy = error instanceof HsmError && error.code === 'Busy'
        if (!busy || attempt >= BUSY_RETRIES || signal.aborted) {
          this.refusal = error instanceof Error ? error : new Error(String(error))
          throw error
        }
        await pause(backoffMs(attempt, BUSY_BACKOFF), signal)
      }
    }
  }

  /**
   * Logs in again in the background, on a connection made after the login. Never throws: the refusal is kept, and an
   * HSM that refuses is asked a second and a third time, then not again (six bad passwords lock a user, data-plane §1.3).
   */
  async logInLater(session: Session, signal: AbortSignal): Promise<void> {
    for (const retryMs of [...LOGIN_RETRY_MS, undefined]) {
      try {
        await this.logIn(session, signal)
        return
      } catch (error) {
        const mayPass = error instanceof HsmError && (error.code === 'LoginFailed' || error.code === 'Busy')
        if (!mayPass || retryMs === undefined) return
        await pause(retryMs, signal)
        if (signal.aborted || !this.usable || this.#login?.session !== session) return
        this.#login = undefined
      }
    }
  }
}

/** Connects and greets. Throws ConnectionLost, or what the HSM refuses the greeting with. */
export async function openLink(
  server: ServerAddress,
  options: LinkOptions,
  onMembers: () => void,
  signal: AbortSignal,
): Promise<Link> {
  let link: Link | undefined
  let announced: readonly Member[] | undefined
  const connection = await openConnection({
    host: server.hostname,
    port: server.port,
    operations: clientOperations,
    tls: options.trust.tls,
    connectTimeoutMs: options.connectTimeoutMs,
    callTimeoutMs: options.callTimeoutMs,
    signal,
    onEvent: (event, data) => {
      if (event !== 'members') return
      const { members } = clientEvents.members.parse(data)
      announced = members
      if (!link) return
      link.members = members
      onMembers()
    },
  })
  try {
    const hello = await connection.call(
      'hello',
      { client: options.clientName, protocol: 1 },
      { timeoutMs: options.connectTimeoutMs },
    )
    link = new Link(server, connection, hello)
    if (announced) link.members = announced
    return link
  } catch (error) {
    await connection.close()
    throw error
  }
}
