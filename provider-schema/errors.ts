/**
 * Every error the API answers with: code, HTTP status, whose fault.
 *
 * A ServiceError has two texts: `message` is for the caller, in AWS's vocabulary; `context` is for the log. The edge
 * (`api/aws-json/reply.ts`) turns it into a body; nobody else looks at the status.
 */
export const ERRORS = {
  CloudHsmAccessDeniedException: { status: 400, fault: 'client' },
  CloudHsmInternalFailureException: { status: 500, fault: 'server' },
  CloudHsmInvalidRequestException: { status: 400, fault: 'client' },
  CloudHsmResourceLimitExceededException: { status: 400, fault: 'client' },
  CloudHsmResourceNotFoundException: { status: 400, fault: 'client' },
  CloudHsmServiceException: { status: 400, fault: 'client' },
  CloudHsmTagException: { status: 400, fault: 'client' },
  AccessDeniedException: { status: 400, fault: 'client' },
  IncompleteSignatureException: { status: 400, fault: 'client' },
  InvalidSignatureException: { status: 400, fault: 'client' },
  MissingAuthenticationTokenException: { status: 400, fault: 'client' },
  ExpiredTokenException: { status: 400, fault: 'client' },
  UnrecognizedClientException: { status: 400, fault: 'client' },
  RequestExpired: { status: 400, fault: 'client' },
  UnknownOperationException: { status: 400, fault: 'client' },
  SerializationException: { status: 400, fault: 'client' },
  RequestEntityTooLargeException: { status: 413, fault: 'client' },
  ThrottlingException: { status: 400, fault: 'client' },
  /** Of STS. */
  ValidationException: { status: 400, fault: 'client' },
  MalformedPolicyDocumentException: { status: 400, fault: 'client' },
  ServiceUnavailableException: { status: 503, fault: 'server' },
} as const satisfies Record<string, { status: number; fault: 'client' | 'server' }>

export type ErrorCode = keyof typeof ERRORS

/** A refusal or failure with a text for the caller and, apart from it, what the log should know. */
export class ServiceError extends Error {
  readonly code: ErrorCode
  readonly context: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: { context?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = code
    this.code = code
    this.context = options.context ?? {}
  }
}

export const invalidRequest = (message: string, context?: Record<string, unknown>) =>
  new ServiceError('CloudHsmInvalidRequestException', message, context ? { context } : {})

export const notFound = (what: 'Cluster' | 'HSM' | 'Backup' | 'Resource', id: string) =>
  new ServiceError('CloudHsmResourceNotFoundException', `${what} ${id} was not found.`)
