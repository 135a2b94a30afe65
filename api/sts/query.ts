/** AWS's Query protocol: a form in, XML out. Of the services here only STS speaks it. */
import { ERRORS, ServiceError, type ErrorCode } from '../../provider-schema/errors.ts'
import type { Answer } from '../aws-json/reply.ts'

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/'

/** Elements of an answer in order: a text, or elements below it. */
export interface Elements {
  readonly [name: string]: string | number | Elements
}

/** The form in a body: its Action, and its parameters by name. */
export class Form {
  readonly action: string
  readonly #parameters: URLSearchParams

  constructor(body: Buffer) {
    this.#parameters = new URLSearchParams(body.toString())
    this.action = this.#parameters.get('Action') ?? ''
  }

  /** Undefined when it was not sent. */
  text(name: string): string | undefined {
    return this.#parameters.get(name) ?? undefined
  }

  /** A whole number in a range. Throws ValidationException in AWS's words. */
  number(name: string, { min, max }: { readonly min: number; readonly max: number }): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (Number.isNaN(value)) throw invalid(`Value '${text.slice(0, 64)}' at '${lower(name)}' is not a whole number`)
    if (value < min) throw constraint(name, text, `Member must have value greater than or equal to ${min}`)
    if (value > max) throw constraint(name, text, `Member must have value less than or equal to ${max}`)
    return value
  }

  /** A text of a pattern that must be there. Throws ValidationException in AWS's words. */
  required(name: string, pattern: RegExp): string {
    const text = this.text(name)
    if (text === undefined) {
      throw invalid(
        `1 validation error detected: Value null at '${lower(name)}' failed to satisfy constraint: Member must not be null`,
      )
    }
    if (pattern.test(text)) return text
    throw constraint(name, text, `Member must satisfy regular expression pattern: ${pattern.source}`)
  }

  /** Refuses what is not offered rather than act as if it had not been asked for. */
  refuse(prefixes: readonly string[]): void {
    for (const name of this.#parameters.keys()) {
      const found = prefixes.find((prefix) => name === prefix || name.startsWith(`${prefix}.`))
      if (found !== undefined) throw invalid(`${found} is not supported by Strongroom.`)
    }
  }
}

const lower = (name: string) => name.charAt(0).toLowerCase() + name.slice(1)

export const invalid = (message: string) => new ServiceError('ValidationException', message)

function constraint(name: string, value: string, what: string): ServiceError {
  const at = `Value '${value.slice(0, 128)}' at '${lower(name)}'`
  return invalid(`1 validation error detected: ${at} failed to satisfy constraint: ${what}`)
}

export function queryResult(action: string, result: Elements, requestId: string): Answer {
  return xml(200, {
    [`${action}Response`]: { [`${action}Result`]: result, ResponseMetadata: { RequestId: requestId } },
  })
}

/** The Query protocol has names and statuses of its own for what its front end refuses (IAM "Common errors"). */
const QUERY_ERRORS: Partial<Record<ErrorCode, { code: string; status: number }>> = {
  MissingAuthenticationTokenException: { code: 'MissingAuthenticationToken', status: 403 },
  IncompleteSignatureException: { code: 'IncompleteSignature', status: 400 },
  UnrecognizedClientException: { code: 'InvalidClientTokenId', status: 403 },
  ExpiredTokenException: { code: 'ExpiredToken', status: 403 },
  InvalidSignatureException: { code: 'SignatureDoesNotMatch', status: 403 },
  AccessDeniedException: { code: 'AccessDenied', status: 403 },
  UnknownOperationException: { code: 'InvalidAction', status: 400 },
  ValidationException: { code: 'ValidationError', status: 400 },
  MalformedPolicyDocumentException: { code: 'MalformedPolicyDocument', status: 400 },
  ServiceUnavailableException: { code: 'ServiceUnavailable', status: 503 },
  CloudHsmInternalFailureException: { code: 'InternalFailure', status: 500 },
}

/** An error as the Query protocol has it. */
export function queryError(error: ServiceError, requestId: string): Answer {
  const { code, status } = QUERY_ERRORS[error.code] ?? { code: error.code, status: ERRORS[error.code].status }
  const Type = ERRORS[error.code].fault === 'client' ? 'Sender' : 'Receiver'
  return xml(status, {
    ErrorResponse: { Error: { Type, Code: code, Message: error.message }, RequestId: requestId },
  })
}

function xml(status: number, root: Elements): Answer {
  const [name = ''] = Object.keys(root)
  const body = `<${name} xmlns="${NAMESPACE}">${inside(root[name] ?? '', '')}</${name}>\n`
  return { status, contentType: 'text/xml', body }
}

function inside(content: string | number | Elements, indent: string): string {
  if (typeof content !== 'object') return escape(String(content))
  const deeper = `${indent}  `
  const lines = Object.entries(content).map(([name, value]) => `${deeper}<${name}>${inside(value, deeper)}</${name}>\n`)
  return `\n${lines.join('')}${indent}`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
