/** The tokens of one HSM: in memory, few, for ten minutes, each for one login. */
import type { Caller } from '../policy/roles.ts'
import type { Approval } from '../protocol/client/quorum.ts'
import { HsmError } from '../protocol/errors.ts'
import { isKeyService, TOKEN_LIFETIME_SECONDS, type QuorumService } from '../protocol/quorum.ts'
import type { QuorumClock } from './clock.ts'

/** Published: what an HSM stores (data-plane reference §5). */
export const MAX_TOKENS = 1_024
/** Of key services, so that no crypto user takes the place of everybody else's. AWS names no limit. */
export const MAX_KEY_TOKENS_OF_USER = 256

/** What a login is known by: the very object that stands here as long as it lasts. */
export interface LoginSession {
  readonly caller: Caller | undefined
}

/** Who signed, and with which key (DER): one that is replaced approves nothing. */
export interface Approver extends Approval {
  readonly publicKey: Uint8Array
}

export interface Token {
  readonly record: Buffer
  readonly service: QuorumService
  /** Of key services. */
  readonly handle: string | undefined
  readonly session: LoginSession
  readonly login: Caller
  readonly expiresAt: number
  /** What they signed. */
  approvalData: Uint8Array
  approvers: readonly Approver[]
  /** Whether what was signed names this HSM as the one to spend it on. */
  spendable: boolean
  /** Whether an operation is under way that will spend it if it succeeds. */
  spending: boolean
}

export class TokenStore {
  readonly #clock: QuorumClock
  readonly #tokens = new Set<Token>()

  constructor(clock: QuorumClock) {
    this.#clock = clock
  }

  /**
   * A new one for a login. A user has one for each admin service and for registration: the one before is gone. Throws
   * LimitExceeded.
   */
  add(
    session: LoginSession,
    login: Caller,
    { record, service, handle }: Pick<Token, 'record' | 'service' | 'handle'>,
  ): void {
    const own = this.live().filter((token) => token.login.username === login.username)
    if (!isKeyService(service)) for (const token of own) if (token.service === service) this.#tokens.delete(token)
    const keyTokens = own.filter((token) => isKeyService(token.service))
    if (isKeyService(service) && keyTokens.length >= MAX_KEY_TOKENS_OF_USER) {
      throw new HsmError('LimitExceeded', `a user has at most ${MAX_KEY_TOKENS_OF_USER} quorum tokens for keys`)
    }
    if (this.#tokens.size >= MAX_TOKENS) {
      throw new HsmError('LimitExceeded', `an HSM holds at most ${MAX_TOKENS} quorum tokens`)
    }
    this.#tokens.add({
      record,
      service,
      handle,
      session,
      login,
      expiresAt: this.#clock.monotonicMs() + TOKEN_LIFETIME_SECONDS * 1000,
      approvalData: record,
      approvers: [],
      spendable: false,
      spending: false,
    })
  }

  /** Those that have neither expired nor outlived their login; the others are forgotten. */
  live(): Token[] {
    const now = this.#clock.monotonicMs()
    for (const token of this.#tokens) {
      if (now >= token.expiresAt || token.session.caller !== token.login) this.#tokens.delete(token)
    }
    return [...this.#tokens]
  }

  /** The live ones of a login. */
  of(session: LoginSession): Token[] {
    return this.live().filter((token) => token.session === session)
  }

  secondsLeft({ expiresAt }: Token): number {
    return Math.ceil((expiresAt - this.#clock.monotonicMs()) / 1000)
  }

  delete(token: Token): void {
    this.#tokens.delete(token)
  }

  clear(): void {
    this.#tokens.clear()
  }
}
