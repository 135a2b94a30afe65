/**
 * One signed request from head to answer: authenticate, read, dispatch, answer, log. JSON and Query requests differ in
 * their service name and in how they are answered, in nothing else.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServiceError } from '../provider-schema/errors.ts'
import { parseTraceparent, type Span } from '../provider-schema/trace.ts'
import { claim, prove, type Claim, type IncomingHead } from './aws-json/authenticate.ts'
import { operationOf, parseJson } from './aws-json/dispatch.ts'
import { serviceErrorOf } from './aws-json/failures.ts'
import { letPass, readBody, RequestGone } from './aws-json/read-body.ts'
import { jsonError, jsonResult, write, type Answer } from './aws-json/reply.ts'
import { signingKeys, type SigningKeys } from './aws-json/signing-keys.ts'
import type { Caller } from './caller.ts'
import { HANDLERS } from './cloudhsmv2/handlers.ts'
import type { RequestCounts } from './operator/request-counts.ts'
import type { ApiPorts } from './ports.ts'
import { queryError } from './sts/query.ts'
import { answerSts } from './sts/sts.ts'
import { isReadOnly } from './trail/event.ts'

interface Protocol {
  /** Of the credential scope. */
  readonly service: string
  readonly answer: (request: IncomingMessage, body: Buffer, caller: Caller, note: Note) => Promise<Answer> | Answer
  readonly refuse: (error: ServiceError, requestId: string) => Answer
}

/** What log, metrics, trace and trail say of a request; filled in on the way. */
interface Note {
  readonly requestId: string
  readonly at: Date
  readonly started: number
  readonly span: Span | undefined
  operation?: string
  caller?: Caller
  input?: object
}

/** Handles `POST /`. Never rejects. */
export function frontEnd(
  ports: ApiPorts,
  counts: RequestCounts,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const keys = signingKeys()
  const json: Protocol = {
    service: 'cloudhsm',
    answer: async (request, body, caller, note) => {
      const handler = operationOf(single(request.headers['x-amz-target']), HANDLERS)
      note.operation = handler.name
      note.input = parseJson(body)
      return jsonResult(await handler.perform(note.input, caller, ports))
    },
    refuse: jsonError,
  }
  const sts: Protocol = {
    service: 'sts',
    answer: (_request, body, caller, note) => answerSts(body, caller, ports, (name) => (note.operation = name)),
    refuse: queryError,
  }
  return async (request, response) => {
    const note: Note = {
      requestId: randomUUID(),
      at: ports.realClock(),
      started: performance.now(),
      span: ports.tracer?.start('request', { parent: traceSentWith(request), kind: 'server' }),
    }
    const protocol = isForm(request) ? sts : json
    let failure: ServiceError | undefined
    try {
      const { caller, body } = await authenticated(request, note, protocol.service, ports, keys)
      note.caller = caller
      const answer = await protocol.answer(request, body, caller, note)
      write(response, note.requestId, answer, false)
      response.end()
    } catch (error) {
      if (error instanceof RequestGone) {
        tell(note, 'gone', undefined, ports, counts)
        return
      }
      failure = serviceErrorOf(error)
      await refuse(request, response, note.requestId, protocol.refuse(failure, note.requestId))
    }
    tell(note, failure?.code ?? 'ok', failure, ports, counts)
    recordIn(ports, note, failure)
  }
}

const traceSentWith = (request: IncomingMessage) => parseTraceparent(single(request.headers['traceparent']))

/** What became of a request, for log, metrics and trace. */
function tell(
  { requestId, operation, caller, started, span }: Note,
  outcome: string,
  failure: ServiceError | undefined,
  { log }: ApiPorts,
  counts: RequestCounts,
): void {
  const elapsed = performance.now() - started
  counts.count(operation ?? 'none', outcome, elapsed)
  const attributes = { 'aws.request_id': requestId, 'strongroom.outcome': outcome }
  span?.end({ attributes, ...(operation && { name: operation }), ...(failure && { error: failure.code }) })
  const ms = Math.round(elapsed * 10) / 10
  const line = { requestId, operation, account: caller?.account, traceId: span?.context.traceId, outcome, ms }
  if (!failure || isExpected(failure)) log.info(line, 'request')
  else log.error({ ...line, err: failure, ...failure.context }, 'request')
}

/**
 * A call of a proven caller is recorded: refusals and reads here, after their answer; what changed something was recorded
 * with its rows. Who is nobody known has no trail, as at AWS; the log has them.
 */
function recordIn({ trail, region }: ApiPorts, { operation, caller, input, at }: Note, error?: ServiceError): void {
  if (!trail || !caller || operation === undefined) return
  const colon = operation.indexOf(':')
  const [service, name] = colon < 0 ? ['cloudhsm', operation] : [operation.slice(0, colon), operation.slice(colon + 1)]
  if (!error && !isReadOnly(name)) return
  trail.record({ operation: name, service, region, caller, at, request: input, ...(error && { error }) })
}

async function authenticated(
  request: IncomingMessage,
  note: Note,
  service: string,
  ports: ApiPorts,
  keys: SigningKeys,
): Promise<{ caller: Caller; body: Buffer }> {
  const head = headOf(request)
  const claimed = await claim(head, { region: ports.region, service, now: note.at }, ports.identity)
  const body = await readBody(request)
  prove(claimed, head, body, keys)
  return { caller: callerOf(claimed, request, note), body }
}

function headOf(request: IncomingMessage): IncomingHead {
  const headers = request.headersDistinct
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    header: (name) => headers[name],
    headerNames: Object.keys(headers),
  }
}

function callerOf({ accessKey, accessKeyId }: Claim, request: IncomingMessage, note: Note): Caller {
  const { principal, grants } = accessKey
  return {
    ...{ principal, grants, account: principal.account, principalArn: principal.arn, accessKeyId },
    requestId: note.requestId,
    sourceIp: sourceIpOf(request),
    userAgent: request.headers['user-agent'],
    trace: note.span?.context ?? traceSentWith(request),
  }
}

/** The front door of the same machine says whom it speaks for; nobody else is believed. */
function sourceIpOf(request: IncomingMessage): string | undefined {
  const peer = request.socket.remoteAddress
  const local = peer === '127.0.0.1' || peer === '::1' || peer === '::ffff:127.0.0.1'
  const forwarded = local ? single(request.headers['x-forwarded-for'])?.split(',').at(-1)?.trim() : undefined
  return (forwarded ?? peer)?.slice(0, 64)
}

/** An answer to a request whose body may not have been read. */
async function refuse(request: IncomingMessage, response: ServerResponse, id: string, answer: Answer): Promise<void> {
  if (response.headersSent) return
  const unread = !request.complete
  write(response, id, answer, unread)
  // The connection is closed only when the sender has had time to see the answer.
  if (unread) await letPass(request)
  response.end()
}

/** Refusals are part of the day; what is our fault stands out. */
function isExpected(failure: ServiceError): boolean {
  return failure.cause === undefined
}

function isForm(request: IncomingMessage): boolean {
  const { 'x-amz-target': target, 'content-type': type = '' } = request.headers
  return target === undefined && type.startsWith('application/x-www-form-urlencoded')
}

const single = (value: string | string[] | undefined) => (typeof value === 'string' ? value : undefined)
