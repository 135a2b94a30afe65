/** From X-Amz-Target and a body to the handler of an operation, and its output. */
import { ServiceError } from '../../provider-schema/errors.ts'
import { OPERATIONS, type OperationName } from '../../provider-schema/operations.ts'
import type { Caller } from '../caller.ts'
import type { ApiPorts } from '../ports.ts'

const TARGET_PREFIX = 'BaldrApiService.'

export interface Handler {
  readonly name: OperationName
  /** Takes whatever JSON came: validates it, does it, and gives the output. */
  readonly perform: (request: object, caller: Caller, ports: ApiPorts) => Promise<object>
}

/** The operation that a target names. Throws UnknownOperationException, or says that it is not there yet. */
export function operationOf(target: string | undefined, handlers: ReadonlyMap<OperationName, Handler>): Handler {
  const name = target?.startsWith(TARGET_PREFIX) ? target.slice(TARGET_PREFIX.length) : ''
  if (!isOperation(name)) {
    throw new ServiceError('UnknownOperationException', 'The operation that X-Amz-Target names does not exist.')
  }
  const handler = handlers.get(name)
  if (!handler) {
    throw new ServiceError('CloudHsmServiceException', `${name} is not available yet in this version of Strongroom.`)
  }
  return handler
}

const isOperation = (name: string): name is OperationName => Object.hasOwn(OPERATIONS, name)

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The JSON object in a body; an empty body stands for an empty object. Throws SerializationException. */
export function parseJson(body: Buffer): object {
  if (body.length === 0) return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(utf8.decode(body))
  } catch (error) {
    // V8's message repeats the body: it is for nobody.
    throw new ServiceError('SerializationException', 'The request body is not JSON.', {
      context: { parser: error instanceof Error ? error.name : undefined },
    })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new ServiceError('SerializationException', 'The request body must be a JSON object.')
  }
  return parsed
}
