/** From a request envelope to the handler of its operation and back: the edge where errors become replies. */
import type { z } from 'zod'
import type { Logger } from 'pino'
import { type Answer, Later } from '../later.ts'
import type { OperationTable, ParsedParamsOf, ReplyEnvelope } from '../protocol/envelope.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Dispatch, PortConnection } from './served-connection.ts'

/** One function for each operation of the table. What it throws is the reply: an HsmError as it is, else `Internal`. */
export type Handlers<Table extends OperationTable, Context> = {
  readonly [Op in keyof Table & string]: (
    params: ParsedParamsOf<Table, Op>,
    connection: PortConnection<Context>,
  ) => Answer<z.input<Table[Op]['result']>>
}

interface Route<Context> {
  readonly params: z.ZodType
  readonly handle: (params: never, connection: PortConnection<Context>) => unknown
}

export interface DispatchOptions<Table extends OperationTable, Context> {
  readonly name: string
  readonly operations: Table
  readonly handlers: Handlers<Table, Context>
  /** Looks at a request before its parameters are parsed. What it throws is the reply. */
  readonly screen?: (op: keyof Table & string, params: unknown, connection: PortConnection<Context>) => void
  readonly log: Logger
}

/** What performs requests of a table. While `draining` says so every request is answered `Draining`. */
export function dispatcher<Table extends OperationTable, Context>(
  { name, operations, handlers, screen, log }: DispatchOptions<Table, Context>,
  draining: () => boolean,
): Dispatch<Context> {
  // A map, not the object itself: an operation named like a property of every object must not be found.
  const routes = new Map<string, Route<Context>>()
  for (const [op, spec] of Object.entries(operations)) {
    const handle: Route<Context>['handle'] | undefined = handlers[op]
    if (handle) routes.set(op, { params: spec.params, handle })
  }

  const failure = (id: number, op: string, error: unknown): ReplyEnvelope => {
    if (error instanceof HsmError) return { id, error: { code: error.code, message: error.message } }
    log.error({ port: name, op, err: error }, 'request failed')
    return { id, error: { code: 'Internal', message: 'the HSM failed to perform the request; its log says why' } }
  }

  return ({ id, op, params }, connection) => {
    try {
      if (draining()) throw new HsmError('Draining', 'this HSM takes no more requests')
      const route = routes.get(op)
      if (!route) throw new HsmError('UnknownOperation', `no such operation: ${op}`)
      screen?.(op, params, connection)
      const parsed = route.params.safeParse(params)
      if (!parsed.success) throw new HsmError('InvalidRequest', explain(parsed.error))
      // The schema that just parsed them is the one the handler's type comes from.
      const result = route.handle(parsed.data as never, connection)
      const success = (ok: unknown): ReplyEnvelope => ({ id, ok })
      const refusal = (error: unknown) => failure(id, op, error)
      if (result instanceof Later) return result.map(success, refusal)
      return result instanceof Promise ? result.then(success, refusal) : success(result)
    } catch (error) {
      return failure(id, op, error)
    }
  }
}

/** What is wrong with parameters, without their values: they may be secret. */
function explain(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map((issue) => (issue.path.length > 0 ? `${issue.path.join('.')}: ${issue.message}` : issue.message))
    .join('; ')
}
