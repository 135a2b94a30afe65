/**
 * STS GetCallerIdentity: who am I? In AWS's Query protocol, form in, XML out: Terraform and `aws sts` ask for it at the
 * same endpoint.
 */
import { ERRORS, ServiceError, type ErrorCode } from '../../provider-schema/errors.ts'
import type { Answer } from '../aws-json/reply.ts'
import type { Caller } from '../caller.ts'

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/'

/** Answers the form in a body. Throws UnknownOperationException when it asks for anything else. */
export function answerSts(form: Buffer, caller: Caller): Answer {
  const action = new URLSearchParams(form.toString()).get('Action')
  if (action !== 'GetCallerIdentity') {
    throw new ServiceError('UnknownOperationException', 'Only GetCallerIdentity is available of STS.')
  }
  return xml(
    200,
    `<GetCallerIdentityResponse xmlns="${NAMESPACE}">
  <GetCallerIdentityResult>
    <Arn>${escape(caller.principalArn)}</Arn>
    <UserId>${escape(caller.accessKeyId)}</UserId>
    <Account>${escape(caller.account)}</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>${caller.requestId}</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>
`,
  )
}

/** The Query protocol has names and statuses of its own for what its front end refuses (IAM "Common errors"). */
const QUERY_ERRORS: Partial<Record<ErrorCode, { code: string; status: number }>> = {
  MissingAuthenticationTokenException: { code: 'MissingAuthenticationToken', status: 403 },
  IncompleteSignatureException: { code: 'IncompleteSignature', status: 400 },
  UnrecognizedClientException: { code: 'InvalidClientTokenId', status: 403 },
  InvalidSignatureException: { code: 'SignatureDoesNotMatch', status: 403 },
  UnknownOperationException: { code: 'InvalidAction', status: 400 },
  ServiceUnavailableException: { code: 'ServiceUnavailable', status: 503 },
  CloudHsmInternalFailureException: { code: 'InternalFailure', status: 500 },
}

/** An error as the Query protocol has it. */
export function stsError(error: ServiceError, requestId: string): Answer {
  const { code, status } = QUERY_ERRORS[error.code] ?? { code: error.code, status: ERRORS[error.code].status }
  const type = ERRORS[error.code].fault === 'client' ? 'Sender' : 'Receiver'
  return xml(
    status,
    `<ErrorResponse xmlns="${NAMESPACE}">
  <Error>
    <Type>${type}</Type>
    <Code>${code}</Code>
    <Message>${escape(error.message)}</Message>
  </Error>
  <RequestId>${requestId}</RequestId>
</ErrorResponse>
`,
  )
}

const xml = (status: number, body: string): Answer => ({ status, contentType: 'text/xml', body })

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
