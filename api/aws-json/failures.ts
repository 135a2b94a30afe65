/** What a thrown thing means to the caller, and what of it the log should know. */
import { ServiceError } from '../../provider-schema/errors.ts'

/** Terraform repeats a request that was refused with these words (reference §4.4). */
const INTERNAL = 'The request was rejected because of an AWS CloudHSM internal failure. The request can be retried.'
const UNAVAILABLE = 'The service is temporarily unavailable. Please try again.'

/** A ServiceError as it is; a database that cannot be reached is unavailable; the rest is our failure. */
export function serviceErrorOf(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error
  if (causes(error).some(isUnavailable)) {
    return new ServiceError('ServiceUnavailableException', UNAVAILABLE, { cause: error })
  }
  return new ServiceError('CloudHsmInternalFailureException', INTERNAL, { cause: error })
}

/**
 * SQLSTATE of the innermost database error, if there is one; with the constraint it names. Drizzle wraps what pg throws.
 */
export function databaseErrorOf(error: unknown): { code: string; constraint: string | undefined } | undefined {
  for (const cause of causes(error)) {
    const code = textOf(cause, 'code')
    if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && textOf(cause, 'severity') !== undefined) {
      return { code, constraint: textOf(cause, 'constraint') }
    }
  }
  return undefined
}

/**
 * SQLSTATE classes of a server that cannot serve now (PostgreSQL manual, appendix A): connection exception, insufficient
 * resources, operator intervention (shutdown, starting up, statement time-out); and a transaction that kept losing.
 */
const UNAVAILABLE_STATES = /^(08|53|57|40|55P03|25P0)/
const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOENT', 'EHOSTUNREACH', 'ENOTFOUND'])
/** pg throws these as plain errors. */
const PG_TEXTS =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered)/

function isUnavailable(error: object): boolean {
  if (error instanceof AnswerTooLate) return true
  const code = textOf(error, 'code')
  if (code !== undefined && UNREACHABLE.has(code) && textOf(error, 'syscall') !== undefined) return true
  if (code !== undefined && textOf(error, 'severity') !== undefined) return UNAVAILABLE_STATES.test(code)
  return error instanceof Error && PG_TEXTS.test(error.message)
}

/** The work for a request took longer than a caller should wait. */
export class AnswerTooLate extends Error {
  constructor(ms: number) {
    super(`no answer within ${ms} ms`)
    this.name = 'AnswerTooLate'
  }
}

/** An error, its cause, the cause's cause and so on; all of an AggregateError's. */
function causes(error: unknown): object[] {
  const found: object[] = []
  const open: unknown[] = [error]
  while (open.length > 0 && found.length < 16) {
    const next = open.shift()
    if (typeof next !== 'object' || next === null) continue
    found.push(next)
    if (next instanceof AggregateError) open.push(...next.errors.map((each: unknown) => each))
    if (next instanceof Error) open.push(next.cause)
  }
  return found
}

function textOf(from: object, name: string): string | undefined {
  const value: unknown = Reflect.get(from, name)
  return typeof value === 'string' ? value : undefined
}
