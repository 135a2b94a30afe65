/** Answers on the wire: status, headers, body. The only place that looks at an error's status. */
import type { ServerResponse } from 'node:http'
import { ERRORS, type ServiceError } from '../../provider-schema/errors.ts'

const JSON_1_1 = 'application/x-amz-json-1.1'

export interface Answer {
  readonly status: number
  readonly contentType: string
  /** Text, or UTF-8 bytes; the bytes are not changed by anybody. */
  readonly body: string | Buffer
}

/** An output that is JSON already. */
export class Serialised {
  readonly json: Buffer

  constructor(json: Buffer) {
    this.json = json
  }
}

/** AWS JSON 1.1: a result. Members that are undefined are left out. */
export function jsonResult(output: object): Answer {
  const body = output instanceof Serialised ? output.json : JSON.stringify(output)
  return { status: 200, contentType: JSON_1_1, body }
}

/** AWS JSON 1.1: an error. `Message` has a capital M: the Go SDK drops any other (reference §0). */
export function jsonError(error: ServiceError): Answer {
  const body = JSON.stringify({ __type: error.code, Message: error.message })
  return { status: ERRORS[error.code].status, contentType: JSON_1_1, body }
}

/** Headers of every answer. Nothing here is for a browser to keep, show or guess at. */
export const COMMON_HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
} as const

/** Writes an answer, all but its end: the caller ends it. */
export function write(response: ServerResponse, requestId: string, answer: Answer, close: boolean): void {
  const { body } = answer
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  response.writeHead(answer.status, [
    ...COMMON_PAIRS,
    'Content-Type',
    answer.contentType,
    'Content-Length',
    String(bytes),
    'x-amzn-RequestId',
    requestId,
    ...(close ? ['Connection', 'close'] : []),
  ])
  // ASCII, as nearly every answer is, need not be encoded.
  if (typeof body === 'string') response.write(body, bytes === body.length ? 'latin1' : 'utf8')
  else response.write(body)
}

/** Names and values in turn: the shape that costs Node least. */
const COMMON_PAIRS = Object.entries(COMMON_HEADERS).flat()
