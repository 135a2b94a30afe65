/**
 * The frame of an operation: its name gives the shapes, and the frame does what is the same for all of them.
 *
 * `operation` changes something: all of it in one transaction, or nothing. `decision` does so with one statement. `query`
 * reads.
 */
import type { z } from 'zod'
import type { JobOrigin } from '../../provider-schema/jobs.ts'
import { OPERATIONS, type OperationName } from '../../provider-schema/operations.ts'
import { traceparentOf } from '../../provider-schema/trace.ts'
import type { AuditEntry } from '../../state/audit.ts'
import type { Access } from '../../state/database.ts'
import { databaseErrorOf } from '../aws-json/failures.ts'
import type { Handler } from '../aws-json/dispatch.ts'
import { wellTyped } from '../aws-json/validate.ts'
import type { Serialised } from '../aws-json/reply.ts'
import { within } from '../aws-json/within.ts'
import type { Caller } from '../caller.ts'
import type { ApiPorts } from '../ports.ts'
import { trailEntry, type Call } from '../trail/event.ts'
import { authorize } from './authorize.ts'

type Input<Name extends OperationName> = z.output<(typeof OPERATIONS)[Name]['input']>
type Output<Name extends OperationName> = z.output<(typeof OPERATIONS)[Name]['output']>

/** The table as a generic name can index it. */
const SPECS: { readonly [Name in OperationName]: { readonly input: z.ZodType<Input<Name>> } } = OPERATIONS

export interface Reading<Name extends OperationName> {
  readonly input: Input<Name>
  readonly caller: Caller
  readonly ports: ApiPorts
  readonly read: Access
}

export interface Writing<Name extends OperationName> {
  readonly input: Input<Name>
  readonly caller: Caller
  readonly ports: ApiPorts
  readonly tx: Access
  /** One time for all that this request writes. */
  readonly now: Date
  /** Names what the caller did this to: the event in the trail, part of the transaction, has it as a resource. */
  readonly audit: (resource: string) => Promise<void>
}

export interface Deciding<Name extends OperationName> {
  readonly input: Input<Name>
  readonly caller: Caller
  readonly ports: ApiPorts
  /** One time for all that this request writes. */
  readonly now: Date
}

/** Callers hear within 5 seconds, even when Postgres does not answer. */
const ANSWER_MS = 4_500
const ATTEMPTS = 5

/** An operation that only reads. */
export function query<Name extends OperationName>(
  name: Name,
  work: (context: Reading<Name>) => Promise<Output<Name> | Serialised>,
): Handler {
  const shape = SPECS[name].input
  return {
    name,
    perform: async (request, caller, ports) => {
      const validated = wellTyped(shape, request)
      return within(ANSWER_MS, async () => {
        await authorize(name, request, caller, ports)
        return work({ input: validated(), caller, ports, read: ports.database.read })
      })
    },
  }
}

/** An operation that changes something. Its work may run more than once, each time in a transaction of its own. */
export function operation<Name extends OperationName>(
  name: Name,
  work: (context: Writing<Name>) => Promise<Output<Name>>,
): Handler {
  const shape = SPECS[name].input
  return {
    name,
    perform: async (request, caller, ports) => {
      const validated = wellTyped(shape, request)
      const transaction = (input: Input<Name>, late: AbortSignal) =>
        traced(caller, ports, (origin) =>
          ports.database.transaction(async (tx) => {
            const now = ports.clock()
            const resources: string[] = []
            const audit = (resource: string) => {
              resources.push(resource)
              return Promise.resolve()
            }
            const response = await work({ input, caller, ports, tx, now, audit })
            await tx.audit.append(trailEntry(callOf(name, request, response, resources, caller, ports)))
            // The caller has been told that it failed: then it must not happen.
            late.throwIfAborted()
            return response
          }, origin),
        )
      return within(ANSWER_MS, async (late) => {
        await authorize(name, request, caller, ports)
        const input = validated()
        return withoutCollision(() => transaction(input, late), late)
      })
    },
  }
}

/** What is to happen, decided on what was read. */
export interface Decision<Name extends OperationName> {
  readonly response: Output<Name>
  /** Id of what the caller does this to. */
  readonly resource: string
  /**
   * Writes all of it, or nothing. Throws what refuses it; or what a collision throws, when what was decided on has
   * changed meanwhile.
   */
  readonly write: (terms: Terms) => Promise<void>
}

/** What a decision is written with. */
export interface Terms {
  /** Of the trail. */
  readonly event: AuditEntry
  /** Which jobs belong to. */
  readonly origin: JobOrigin
  /** By performance.now(): after it it must not happen any more. */
  readonly until: number
}

/**
 * An operation that changes something by one statement, which has in it whatever must still hold then: instead of a
 * transaction around a talk with the database. Its work may run more than once.
 */
export function decision<Name extends OperationName>(
  name: Name,
  work: (context: Deciding<Name>) => Promise<Decision<Name>>,
): Handler {
  const shape = SPECS[name].input
  return {
    name,
    perform: async (request, caller, ports) => {
      const validated = wellTyped(shape, request)
      const until = performance.now() + ANSWER_MS
      return within(ANSWER_MS, async (late) => {
        await authorize(name, request, caller, ports)
        const input = validated()
        const decide = async (origin: JobOrigin) => {
          const now = ports.clock()
          const { response, resource, write } = await work({ input, caller, ports, now })
          const event = trailEntry(callOf(name, request, response, [resource], caller, ports))
          late.throwIfAborted()
          await write({ event, origin, until })
          return response
        }
        return withoutCollision(() => traced(caller, ports, decide), late)
      })
    },
  }
}

/** What the trail tells of a call that changed something. */
function callOf(
  operation: OperationName,
  request: object,
  response: object,
  resources: readonly string[],
  caller: Caller,
  { region, realClock }: ApiPorts,
): Call {
  return { operation, service: 'cloudhsm', region, caller, at: realClock(), request, response, resources }
}

/** Runs a transaction as a span of its own; the jobs that it enqueues belong to it. */
async function traced<Result>(
  { requestId, trace }: Caller,
  { tracer }: ApiPorts,
  transaction: (origin: JobOrigin) => Promise<Result>,
): Promise<Result> {
  const span = tracer?.start('transaction', { parent: trace })
  const parent = span?.context ?? trace
  try {
    const result = await transaction({ requestId, ...(parent && { traceparent: traceparentOf(parent) }) })
    span?.end()
    return result
  } catch (error) {
    span?.end({ error: error instanceof Error ? error.message : String(error) })
    throw error
  }
}

/**
 * Repeats a transaction that lost to another one: a deadlock, a serialization failure, or an address or subnet that
 * somebody else took in the meantime.
 */
async function withoutCollision<Result>(transaction: () => Promise<Result>, late: AbortSignal): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction()
    } catch (error) {
      if (attempt >= ATTEMPTS || late.aborted || !isCollision(error)) throw error
    }
  }
}

/** Of what two requests may take at the same time. */
const CONTENDED = new Set(['hsms_listen_ip', 'hsms_eni_ip', 'subnets_pkey'])

function isCollision(error: unknown): boolean {
  const found = databaseErrorOf(error)
  if (!found) return false
  if (found.code === '23505') return CONTENDED.has(found.constraint ?? '')
  return found.code === '40001' || found.code === '40P01'
}
