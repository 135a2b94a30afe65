/** What holds of every answer, of whatever operation: held against the published shapes, not against the product's own. */
import assert from 'node:assert/strict'
import { z } from 'zod'
import { ERRORS } from '../../provider-schema/errors.ts'
import { OPERATIONS } from '../../provider-schema/operations.ts'
import { PUBLISHED_OUTPUTS } from './published-outputs.ts'

const refusal = z.strictObject({ __type: z.string().min(1), Message: z.string().min(1) })
/** Codes that the model declares for some operations only; all others are the front end's, and open to each. */
const MODELLED = /^CloudHsm\w+Exception$/

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** Throws when an answer is not one that clients of the published service model can read. */
export function checkAnswer(operation: string, { status, headers, body }: Answered): void {
  assert.match(
    headers.get('x-amzn-requestid') ?? '',
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
  assert.equal(headers.get('content-type'), 'application/x-amz-json-1.1', `content type of ${operation}`)
  if (status === 200) checkOutput(operation, body)
  else checkRefusal(operation, status, body)
}

function checkOutput(operation: string, body: unknown): void {
  const published = PUBLISHED_OUTPUTS[operation]
  assert.ok(published, `${operation} is no operation, yet it was answered`)
  assertShape(`the output of ${operation}`, published, body)
}

function checkRefusal(operation: string, status: number, body: unknown): void {
  const { __type: code } = assertShape(`the refusal of ${operation}`, refusal, body)
  const known = Object.entries(ERRORS).find(([name]) => name === code)?.[1]
  assert.ok(known, `${operation} was refused with ${code}, which is no code of ours`)
  assert.equal(status, known.status, `status of ${code}`)
  const declared: readonly string[] | undefined = Object.values(OPERATIONS).find(
    ({ name }) => name === operation,
  )?.errors
  if (declared && MODELLED.test(code)) assert.ok(declared.includes(code), `${operation} does not declare ${code}`)
}

function assertShape<Shape extends z.ZodType>(what: string, shape: Shape, value: unknown): z.output<Shape> {
  const result = shape.safeParse(value)
  if (result.success) return result.data
  assert.fail(`${what} is not as published: ${z.prettifyError(result.error)}\n${JSON.stringify(value)}`)
}
