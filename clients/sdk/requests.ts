/** How the client's methods reach an HSM: any of them, each of them, or the one that holds a session key. */
import type { KeyInfo } from '../../workers/hsm/protocol/attributes.ts'
import { ConnectionLost, HsmError } from '../../workers/hsm/protocol/errors.ts'
import { ask, askAny, askOne, nameOf, type Answered, type DispatchOptions } from './dispatch.ts'
import { ClientError } from './errors.ts'
import type { Link, Operation, Params, Result } from './link.ts'
import { SETTLE_MS, type Pool } from './pool.ts'

/** An answer of one HSM to a question that each is asked. */
export interface FromHsm<Answer> {
  readonly hsmId: string
  readonly answer: Answer
}

export class Requests {
  readonly pool: Pool
  /** Goes with every request that makes or uses a key. */
  readonly copies: { readonly requireTwoCopies: boolean }
  readonly #retry: 'standard' | 'off'
  /** Session keys, and the connection that each lives and dies with. */
  readonly #sessionKeys = new Map<string, Link>()

  constructor(pool: Pool, options: { retry: 'standard' | 'off'; requireTwoCopies: boolean }) {
    this.pool = pool
    this.copies = { requireTwoCopies: options.requireTwoCopies }
    this.#retry = options.retry
  }

  any<Op extends Operation>(op: Op, params: Params<Op>, gone?: DispatchOptions<Op>['gone']): Promise<Result<Op>> {
    return ask(this.pool, op, params, { retry: this.#retry, ...(gone && { gone }) })
  }

  /** As `any`, but to the HSM that holds the key when it is a session key. */
  withKey<Op extends Operation>(
    op: Op,
    params: Params<Op> & { readonly handle: string },
    gone?: DispatchOptions<Op>['gone'],
  ): Promise<Result<Op>> {
    const link = this.#sessionKeys.get(params.handle)
    return link ? askOne(this.pool, link, op, params, { retry: this.#retry }) : this.any(op, params, gone)
  }

  /** Begins an operation in parts, and says where: it goes on there or nowhere. */
  async begin(params: Params<'part-begin'>): Promise<Answered<'part-begin'>> {
    const link = 'handle' in params ? this.#sessionKeys.get(params.handle) : undefined
    const options = { retry: this.#retry }
    if (!link) return askAny(this.pool, 'part-begin', params, options)
    return { link, answer: await askOne(this.pool, link, 'part-begin', params, options) }
  }

  /** Goes on with an operation in parts where it was begun. ClientError OperationLost when that connection is gone. */
  goOn<Op extends 'part-update' | 'part-finish' | 'part-cancel'>(
    link: Link,
    op: Op,
    params: Params<Op>,
  ): Promise<Result<Op>> {
    return askOne(this.pool, link, op, params, { retry: this.#retry }, operationLost)
  }

  /** As `withKey`, for an operation that takes two keys: a session key among them says which HSM. */
  withKeys<Op extends Operation>(op: Op, params: Params<Op>, handles: readonly string[]): Promise<Result<Op>> {
    const link = this.#homeOf(handles)
    return link ? askOne(this.pool, link, op, params, { retry: this.#retry }) : this.any(op, params)
  }

  /**
   * Makes one key of another: where that is, when it is a session key. A session key that comes of a token key lives
   * with the client's others.
   */
  async makeFrom<Op extends 'key-unwrap' | 'key-derive' | 'key-encapsulate' | 'key-decapsulate'>(
    op: Op,
    params: Params<Op> & { readonly handle: string },
    ofSession: boolean,
  ): Promise<Result<Op>> {
    const link = this.#homeOf([params.handle])
    if (!link) return this.makeOne(op, params, ofSession)
    try {
      const made = await askOne(this.pool, link, op, params, { retry: this.#retry })
      if (!made.key.attributes.token) this.#sessionKeys.set(made.key.handle, link)
      return made
    } catch (error) {
      if (ofSession || !(error instanceof ClientError) || error.code !== 'SessionKeyLost') throw error
      throw new ClientError(
        'OutcomeUnknown',
        `${error.message} before it answered ${op}: a key may have been made or not. Look before you repeat it`,
        { cause: error },
      )
    }
  }

  /** Makes one key, of the session or not. */
  makeOne<Op extends 'key-import' | 'key-unwrap' | 'key-derive' | 'key-encapsulate' | 'key-decapsulate'>(
    op: Op,
    params: Params<Op>,
    ofSession: boolean,
  ): Promise<Result<Op>> {
    return ofSession ? this.makeSessionKeys(op, params, (made) => [made.key]) : this.any(op, params)
  }

  /**
   * Makes session keys. All of a client's live on one HSM for as long as that connection lasts, so that one search
   * finds them all. Nothing is left of them when the connection breaks: no outcome is unknown.
   */
  async makeSessionKeys<Op extends Operation>(
    op: Op,
    params: Params<Op>,
    keysOf: (result: Result<Op>) => readonly KeyInfo[],
  ): Promise<Result<Op>> {
    const link = this.#sessionHome() ?? (await this.pool.wait())
    const result = await askOne(this.pool, link, op, params, { retry: this.#retry })
    for (const { handle, attributes } of keysOf(result)) if (!attributes.token) this.#sessionKeys.set(handle, link)
    return result
  }

  /** Searches where the session keys are, if there are any. */
  async find(params: Params<'key-find'>): Promise<Result<'key-find'>> {
    const home = this.#sessionHome()
    if (!home) return this.any('key-find', params)
    try {
      return await askOne(this.pool, home, 'key-find', params, { retry: this.#retry })
    } catch (error) {
      if (error instanceof ClientError && error.code === 'SessionKeyLost') return this.any('key-find', params)
      throw error
    }
  }

  /** Token keys anywhere, session keys where they are. */
  async describe(handles: readonly string[]): Promise<KeyInfo[]> {
    const link = this.#homeOf(handles)
    const params = { handles: [...handles] }
    const { keys } = link
      ? await askOne(this.pool, link, 'key-describe', params, { retry: this.#retry })
      : await this.any('key-describe', params)
    return keys
  }

  /** Asks every connected HSM; those that do not answer are left out unless none does. */
  async each<Op extends Operation>(op: Op, params: Params<Op>): Promise<FromHsm<Result<Op>>[]> {
    await this.pool.settled(SETTLE_MS)
    await this.pool.wait(true)
    const outcomes = await Promise.allSettled(
      this.pool.links.map(async (link) => ({ hsmId: link.hello.hsmId, answer: await link.call(op, params) })),
    )
    const answers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    if (answers.length > 0) return answers.sort((a, b) => (a.hsmId < b.hsmId ? -1 : 1))
    const [failure] = outcomes
    throw failure?.status === 'rejected' ? failure.reason : this.pool.unreachable()
  }

  /**
   * Asks every HSM that the login holds on, or soon does: answers in order of HSM id, and what the others refused with.
   * Throws what `pool.wait` throws.
   */
  async eachLoggedIn<Op extends Operation>(
    op: Op,
    params: Params<Op>,
  ): Promise<{ answers: FromHsm<Result<Op>>[]; failures: Error[] }> {
    const { pool } = this
    await pool.settled(SETTLE_MS)
    await pool.wait()
    const undecided = () => pool.links.some((link) => link.session !== pool.session && !link.refusal)
    for (const end = Date.now() + SETTLE_MS; undecided() && Date.now() < end;) await pool.changed(end - Date.now())
    const links = pool.links.filter((link) => link.session === pool.session)
    const outcomes = await Promise.allSettled(
      links.map(async (link) => ({ hsmId: link.hello.hsmId, answer: await link.call(op, params) })),
    )
    const answers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [errorOf(outcome.reason)] : []))
    return { answers: answers.sort((a, b) => (a.hsmId < b.hsmId ? -1 : 1)), failures }
  }

  /**
   * Asks one of the HSMs that `paramsFor` has something for, one after another while their answers are lost: for requests
   * that differ from HSM to HSM and may be repeated.
   */
  async onOneOf<Op extends Operation>(
    op: Op,
    paramsFor: (hsmId: string) => Params<Op> | undefined,
  ): Promise<Result<Op>> {
    await this.pool.wait()
    let lost: unknown
    for (const link of this.pool.links) {
      const params = link.session === this.pool.session ? paramsFor(link.hello.hsmId) : undefined
      if (params === undefined) continue
      try {
        return await link.call(op, params)
      } catch (error) {
        const elsewhere = error instanceof HsmError && (error.code === 'Draining' || error.code === 'QuorumRequired')
        if (!elsewhere && !(error instanceof ConnectionLost)) throw error
        lost = error
      }
    }
    if (lost instanceof HsmError) throw lost
    throw new ClientError('NoHsmReachable', 'no HSM that gave one of these tokens is connected: get new ones', {
      cause: lost,
    })
  }

  forgetKey(handle: string): void {
    this.#sessionKeys.delete(handle)
  }

  forgetKeys(): void {
    this.#sessionKeys.clear()
  }

  #homeOf(handles: readonly string[]): Link | undefined {
    for (const handle of handles) {
      const link = this.#sessionKeys.get(handle)
      if (link) return link
    }
    return undefined
  }

  #sessionHome(): Link | undefined {
    for (const link of this.#sessionKeys.values()) if (link.usable) return link
    return undefined
  }
}

const operationLost = (link: Link, cause: Error) =>
  new ClientError(
    'OperationLost',
    `the operation died with the connection to HSM ${nameOf(link)}: one in parts cannot move to another HSM. ` +
      'Begin it again',
    { cause },
  )

const errorOf = (reason: unknown) => (reason instanceof Error ? reason : new Error(String(reason)))
