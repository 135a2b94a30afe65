/** Sends a request to an HSM that can take it, and to another one when the first does not answer. */
import { ConnectionLost, HsmError, type HsmErrorCode } from '../../workers/hsm/protocol/errors.ts'
import { backoffMs, pause } from './backoff.ts'
import { ClientError } from './errors.ts'
import { addressOf, BUSY_BACKOFF, BUSY_RETRIES, type Link, type Operation, type Params, type Result } from './link.ts'
import { habitOf } from './operations.ts'
import type { Pool } from './pool.ts'

/** How long until an HSM that drains is asked again, when there is no other. */
const DRAINED_LOOK_MS = 200

/** Connections that may break under one request before it is given up: beyond that the request itself is suspect. */
const MAX_BROKEN = 5

/**
 * Another HSM may answer otherwise: a quorum token, for instance, can be spent on one only, and an HSM that has just started
 * is not linked to the others yet.
 */
const ELSEWHERE: ReadonlySet<HsmErrorCode> = new Set(['Draining', 'KeyNotFound', 'QuorumRequired', 'NotEnoughCopies'])

export interface DispatchOptions<Op extends Operation = Operation> {
  /** `standard`: throttled requests are tried again, up to three times; `off`: they fail at once (data-plane §6.2). */
  readonly retry: 'standard' | 'off'
  /** A deletion that is repeated because its answer was lost, and now finds nothing on any HSM, was done by the first. */
  readonly gone?: { readonly code: HsmErrorCode; readonly result: Result<Op> }
}

/** An answer, and who gave it. */
export interface Answered<Op extends Operation> {
  readonly link: Link
  readonly answer: Result<Op>
}

/** As `askAny`, where it does not matter which HSM answers. */
export async function ask<Op extends Operation>(
  pool: Pool,
  op: Op,
  params: Params<Op>,
  options: DispatchOptions<Op>,
): Promise<Result<Op>> {
  const { answer } = await askAny(pool, op, params, options)
  return answer
}

/**
 * Asks any HSM. What an HSM refuses with comes back as its HsmError, except where another HSM or another moment may
 * answer differently: throttling, a draining HSM, a key that has not reached this HSM yet, approvals given elsewhere, too
 * few copies, a broken connection.
 */
export async function askAny<Op extends Operation>(
  pool: Pool,
  op: Op,
  params: Params<Op>,
  { retry, gone }: DispatchOptions<Op>,
): Promise<Answered<Op>> {
  const habit = habitOf(op)
  const tried = new Set<Link>()
  let busy = 0
  let broken = 0
  let refusal: HsmError | undefined
  const end = Date.now() + pool.patienceMs
  for (;;) {
    const fresh = pool.pick(tried, habit.anyone)
    // Every HSM was asked, and at least one of them answered.
    const answering = refusal && !fresh ? pool.pick(new Set(), habit.anyone) : undefined
    if (refusal && answering) {
      if (gone && broken > 0 && refusal.code === gone.code) {
        // An HSM that has just started may not have the key yet: one alone says nothing about it.
        if (unreachable(pool) > 1) throw unknownOutcome(op, answering, refusal)
        return { link: answering, answer: gone.result }
      }
      // A draining HSM is about to go: another may come in its place.
      if (refusal.code !== 'Draining' || Date.now() > end) throw refusal
      await pool.changed(DRAINED_LOOK_MS)
      tried.clear()
      continue
    }
    const link = fresh ?? (await pool.wait(habit.anyone))
    try {
      return { link, answer: await link.call(op, params) }
    } catch (error) {
      if (error instanceof ConnectionLost) {
        if (!habit.repeatable) throw unknownOutcome(op, link, error)
        if (++broken > MAX_BROKEN) throw error
        continue
      }
      if (!(error instanceof HsmError)) throw error
      if (error.code === 'Busy' && retry === 'standard' && busy < BUSY_RETRIES) {
        await pause(backoffMs(busy++, BUSY_BACKOFF), pool.signal)
        continue
      }
      // What another HSM refuses after that may come of the attempt, which is still being undone there.
      if (refusal?.code !== 'NotEnoughCopies') refusal = error
      if (!ELSEWHERE.has(error.code)) throw refusal
      tried.add(link)
    }
  }
}

const unreachable = (pool: Pool) => pool.endpoints.filter(({ link }) => !link?.usable).length

/** What died with the connection to the only HSM that had it. */
type Lost = (link: Link, cause: Error) => ClientError

const sessionKeyLost: Lost = (link, cause) =>
  new ClientError('SessionKeyLost', `the session key died with the connection to ${nameOf(link)}`, { cause })

/** Asks one certain HSM, the only one that holds a session key, or whatever `lost` says. */
export async function askOne<Op extends Operation>(
  pool: Pool,
  link: Link,
  op: Op,
  params: Params<Op>,
  { retry }: DispatchOptions,
  lost: Lost = sessionKeyLost,
): Promise<Result<Op>> {
  for (let busy = 0; ; busy++) {
    try {
      return await link.call(op, params)
    } catch (error) {
      if (error instanceof ConnectionLost) throw lost(link, error)
      const throttled = error instanceof HsmError && error.code === 'Busy'
      if (!throttled || retry === 'off' || busy >= BUSY_RETRIES) throw error
      await pause(backoffMs(busy, BUSY_BACKOFF), pool.signal)
    }
  }
}

export function nameOf(link: Link): string {
  return `${link.hello.hsmId} (${addressOf(link.server)})`
}

function unknownOutcome(op: Operation, link: Link, cause: Error): ClientError {
  return new ClientError(
    'OutcomeUnknown',
    `the connection to HSM ${nameOf(link)} broke before it answered ${op}: it may or may not have been done. ` +
      'Look before you repeat it',
    { cause },
  )
}
