/**
 * One signed request from head to answer: authenticate, read, dispatch, answer, log. JSON and Query requests differ in
 * their service name and in how they are answered, in nothing else.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServiceError } from '../provider-schema/errors.ts'
import { claim, prove, type Claim, type IncomingHead } from './aws-json/authenticate.ts'
import { operationOf, parseJson } from './aws-json/dispatch.ts'
import { serviceErrorOf } from './aws-json/failures.ts'
import { letPass, readBody, RequestGone } from './aws-json/read-body.ts'
import { jsonError, jsonResult, write, type Answer } from './aws-json/reply.ts'
import { signingKeys, type SigningKeys } from './aws-json/signing-keys.ts'
import type { Caller } from './caller.ts'
import { HANDLERS } from './cloudhsmv2/handlers.ts'
import type { ApiPorts } from './ports.ts'
import { queryError } from './sts/query.ts'
import { answerSts } from './sts/sts.ts'

interface Protocol {
  /** Of the credential scope. */
  readonly service: string
  readonly answer: (request: IncomingMessage, body: Buffer, caller: Caller, note: Note) => Promise<Answer> | Answer
  readonly refuse: (error: ServiceError, requestId: string) => Answer
}

/** What the log line says; filled in on the way. */
interface Note {
  operation?: string
  account?: string
}

/** Handles `POST /`. Never rejects. */
export function frontEnd(ports: ApiPorts): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const keys = signingKeys()
  const json: Protocol = {
    service: 'cloudhsm',
    answer: async (request, body, caller, note) => {
      const handler = operationOf(single(request.headers['x-amz-target']), HANDLERS)
      note.operation = handler.name
      return jsonResult(await handler.perform(parseJson(body), caller, ports))
    },
    refuse: jsonError,
  }
  const sts: Protocol = {
    service: 'sts',
    answer: (_request, body, caller, note) => answerSts(body, caller, ports, (name) => (note.operation = name)),
    refuse: queryError,
  }
  return async (request, response) => {
    const started = performance.now()
    const requestId = randomUUID()
    const note: Note = {}
    const protocol = isForm(request) ? sts : json
    let outcome = 'ok'
    let failure: ServiceError | undefined
    try {
      const { caller, body } = await authenticated(request, requestId, protocol.service, ports, keys)
      note.account = caller.account
      const answer = await protocol.answer(request, body, caller, note)
      write(response, requestId, answer, false)
      response.end()
    } catch (error) {
      if (error instanceof RequestGone) {
        outcome = 'gone'
      } else {
        failure = serviceErrorOf(error)
        outcome = failure.code
        await refuse(request, response, requestId, protocol.refuse(failure, requestId))
      }
    }
    const line = { requestId, ...note, outcome, ms: Math.round((performance.now() - started) * 10) / 10 }
    if (!failure || isExpected(failure)) ports.log.info(line, 'request')
    else ports.log.error({ ...line, err: failure, ...failure.context }, 'request')
  }
}

async function authenticated(
  request: IncomingMessage,
  requestId: string,
  service: string,
  ports: ApiPorts,
  keys: SigningKeys,
): Promise<{ caller: Caller; body: Buffer }> {
  const head = headOf(request)
  const claimed = await claim(head, { region: ports.region, service, now: ports.realClock() }, ports.identity)
  const body = await readBody(request)
  prove(claimed, head, body, keys)
  return { caller: callerOf(claimed, request, requestId), body }
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

function callerOf({ accessKey, accessKeyId }: Claim, request: IncomingMessage, requestId: string): Caller {
  const { principal, grants } = accessKey
  const { account, arn: principalArn } = principal
  return { principal, grants, account, principalArn, accessKeyId, requestId, sourceIp: sourceIpOf(request) }
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
