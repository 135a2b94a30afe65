/**
 * The frame of an operation: its name gives the shapes, and the frame does what is the same for all of them.
 *
 * `operation` changes something: all of it in one transaction, or nothing. `query` reads.
 */
import type { z } from 'zod'
import { OPERATIONS, type OperationName } from '../../provider-schema/operations.ts'
import type { Access } from '../../state/database.ts'
import { databaseErrorOf } from '../aws-json/failures.ts'
import type { Handler } from '../aws-json/dispatch.ts'
import { wellTyped } from '../aws-json/validate.ts'
import { within } from '../aws-json/within.ts'
import type { Caller } from '../caller.ts'
import type { ApiPorts } from '../ports.ts'
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
  /** Adds to the trail that the caller did this to a resource; part of the transaction. */
  readonly audit: (resource: string) => Promise<void>
}

/** Callers hear within 5 seconds, even when Postgres does not answer. */
const ANSWER_MS = 4_500
const ATTEMPTS = 5

/** An operation that only reads. */
export function query<Name extends OperationName>(
  name: Name,
  work: (context: Reading<Name>) => Promise<Output<Name>>,
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
        ports.database.transaction(async (tx) => {
          const now = ports.clock()
          const audit = (resource: string) => tx.audit.append(entry(name, resource, caller, now))
          const output = await work({ input, caller, ports, tx, now, audit })
          // The caller has been told that it failed: then it must not happen.
          late.throwIfAborted()
          return output
        })
      return within(ANSWER_MS, async (late) => {
        await authorize(name, request, caller, ports)
        const input = validated()
        return withoutCollision(() => transaction(input, late), late)
      })
    },
  }
}

function entry(operation: OperationName, resource: string, caller: Caller, at: Date) {
  const { requestId, account, principalArn: principal, sourceIp = null } = caller
  return { at, requestId, account, principal, operation, resource, sourceIp }
}

/**
 * Repeats a transaction that lost to another one: a deadlock, a serialization failure, or an address that somebody else
 * took in the meantime.
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

const ADDRESS_CONSTRAINTS = new Set(['hsms_listen_ip', 'hsms_eni_ip'])

function isCollision(error: unknown): boolean {
  const found = databaseErrorOf(error)
  if (!found) return false
  if (found.code === '23505') return ADDRESS_CONSTRAINTS.has(found.constraint ?? '')
  return found.code === '40001' || found.code === '40P01'
}
