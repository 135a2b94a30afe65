/**
 * Who sends a request: SigV4 in the Authorization header, and nothing else.
 *
 * In two parts, so that a body is not even read for somebody unknown: `claim` looks at the headers, `prove` at the
 * signature over headers and body. Texts are those of AWS's front end where they are known.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { ServiceError } from '../../provider-schema/errors.ts'
import type { AccessKey, IdentityPort } from '../ports.ts'
import { ALGORITHM, canonicalRequest, signature, stringToSign, type Scope, type SignableRequest } from './sigv4.ts'
import type { SigningKeys } from './signing-keys.ts'

/** How far the clocks may be apart. */
const SKEW_MS = 5 * 60_000

export interface IncomingHead {
  readonly method: string
  /** Path and query as they stand in the request line. */
  readonly target: string
  readonly header: SignableRequest['header']
  /** Lower-case names of all headers that were sent. */
  readonly headerNames: readonly string[]
}

export interface Claim {
  readonly accessKeyId: string
  readonly accessKey: AccessKey
  readonly scope: Scope
  readonly timestamp: string
  readonly signedHeaders: readonly string[]
  readonly signature: Buffer
}

/** What a request must have been signed for. */
export interface Expected {
  readonly region: string
  readonly service: string
  readonly now: Date
}

/** Reads whom the headers name. Throws when they are incomplete, too old, for another place, or of nobody known. */
export async function claim(head: IncomingHead, expected: Expected, identity: IdentityPort): Promise<Claim> {
  const authorization = single(head, 'authorization')
  if (authorization === undefined) {
    throw new ServiceError('MissingAuthenticationTokenException', 'Missing Authentication Token')
  }
  const { credential, signedHeaders, signature } = parseAuthorization(authorization)
  const [accessKeyId = '', date = '', region = '', service = '', terminator = '', ...rest] = credential.split('/')
  if (terminator === '' || rest.length > 0) {
    throw incomplete('Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term')
  }
  const timestamp = timestampOf(head)
  const scope = { date, region, service }
  requireSigned(head, signedHeaders)
  requireCurrent(timestamp, expected.now)
  requireScope(scope, terminator, timestamp, expected)
  const accessKey = await identity.find(accessKeyId, single(head, 'x-amz-security-token'))
  if (!accessKey) {
    throw new ServiceError('UnrecognizedClientException', 'The security token included in the request is invalid.')
  }
  const { session } = accessKey.principal
  if (session && session.expiresAt <= expected.now) {
    throw new ServiceError('ExpiredTokenException', 'The security token included in the request is expired')
  }
  return { accessKeyId, accessKey, scope, timestamp, signedHeaders, signature }
}

/** Checks the signature over head and body, in constant time. Throws InvalidSignatureException. */
export function prove(claimed: Claim, head: IncomingHead, body: Uint8Array, keys: SigningKeys): void {
  const bodyHash = hash('sha256', body, 'hex')
  const stated = single(head, 'x-amz-content-sha256')
  if (stated !== undefined && stated !== bodyHash) {
    throw invalid(
      "The value of the header 'x-amz-content-sha256' is not the SHA-256 of the body; an unsigned payload is not accepted.",
    )
  }
  const canonical = canonicalRequest({ ...head, signedHeaders: claimed.signedHeaders, bodyHash })
  const key = keys.of(claimed.accessKeyId, claimed.accessKey.secret, claimed.scope)
  if (!timingSafeEqual(signature(key, stringToSign(claimed.timestamp, claimed.scope, canonical)), claimed.signature)) {
    throw invalid(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    )
  }
}

const AUTHORIZATION_PARAMETERS = ['Credential', 'Signature', 'SignedHeaders'] as const

function parseAuthorization(authorization: string) {
  const space = authorization.indexOf(' ')
  if (space < 0 || authorization.slice(0, space) !== ALGORITHM) {
    throw incomplete(`Authorization header must begin with '${ALGORITHM}'.`)
  }
  const parameters = new Map<string, string>()
  for (const part of authorization.slice(space + 1).split(',')) {
    const equals = part.indexOf('=')
    if (equals > 0) parameters.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim())
  }
  const missing = AUTHORIZATION_PARAMETERS.filter((name) => !parameters.get(name))
  if (missing.length > 0) {
    throw incomplete(missing.map((name) => `Authorization header requires '${name}' parameter.`).join(' '))
  }
  const signature = parameters.get('Signature') ?? ''
  if (!/^[0-9a-f]{64}$/.test(signature)) throw incomplete('Signature must be 64 hexadecimal digits.')
  return {
    credential: parameters.get('Credential') ?? '',
    signedHeaders: (parameters.get('SignedHeaders') ?? '').split(';'),
    signature: Buffer.from(signature, 'hex'),
  }
}

/** Whatever could change what a request means must be signed: the host, the date and all of `x-amz-`. */
function requireSigned(head: IncomingHead, signedHeaders: readonly string[]): void {
  const signed = new Set(signedHeaders)
  const dated = head.header('x-amz-date') ? 'x-amz-date' : 'date'
  for (const name of ['host', dated, ...head.headerNames.filter((each) => each.startsWith('x-amz-'))]) {
    if (!signed.has(name)) {
      throw invalid(`'${name}' must be a 'SignedHeader' in the AWS Authorization.`)
    }
  }
  if (signedHeaders.some((name, i) => name <= (signedHeaders[i - 1] ?? ''))) {
    throw invalid("The 'SignedHeaders' must be in ascending order, each of them once.")
  }
}

function timestampOf(head: IncomingHead): string {
  const text = single(head, 'x-amz-date') ?? single(head, 'date')
  if (text === undefined) {
    throw incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
  }
  if (/^\d{8}T\d{6}Z$/.test(text)) return text
  const parsed = Date.parse(text)
  if (Number.isNaN(parsed)) throw incomplete(`Date must be in ISO-8601 'basic format'. Got '${text.slice(0, 64)}'.`)
  return basicFormat(parsed)
}

function requireCurrent(timestamp: string, now: Date): void {
  const at = Date.parse(timestamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (Number.isNaN(at)) throw incomplete(`Date must be in ISO-8601 'basic format'. Got '${timestamp}'.`)
  const present = basicFormat(now.getTime())
  if (at < now.getTime() - SKEW_MS) {
    const earliest = basicFormat(now.getTime() - SKEW_MS)
    throw invalid(`Signature expired: ${timestamp} is now earlier than ${earliest} (${present} - 5 min.)`)
  }
  if (at > now.getTime() + SKEW_MS) {
    const latest = basicFormat(now.getTime() + SKEW_MS)
    throw invalid(`Signature not yet current: ${timestamp} is still later than ${latest} (${present} + 5 min.)`)
  }
}

function requireScope(scope: Scope, terminator: string, timestamp: string, expected: Expected): void {
  if (scope.region !== expected.region) {
    throw invalid(`Credential should be scoped to a valid region, not '${scope.region.slice(0, 64)}'. `)
  }
  if (scope.service !== expected.service) {
    throw invalid(`Credential should be scoped to correct service: '${expected.service}'. `)
  }
  if (terminator !== 'aws4_request') {
    throw invalid("Credential should be scoped with a valid terminator: 'aws4_request'. ")
  }
  if (scope.date !== timestamp.slice(0, 8)) {
    throw invalid(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${scope.date.slice(0, 16)}' != '${timestamp.slice(0, 8)}', from '${timestamp}'.`,
    )
  }
}

/** YYYYMMDD'T'HHMMSS'Z' of epoch milliseconds. */
export function basicFormat(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}

/** The value of a header that may come once only. */
function single(head: IncomingHead, name: string): string | undefined {
  const values = head.header(name)
  if (values && values.length > 1) throw incomplete(`The header '${name}' was sent more than once.`)
  return values?.[0]
}

const incomplete = (message: string) => new ServiceError('IncompleteSignatureException', message)
const invalid = (message: string) => new ServiceError('InvalidSignatureException', message)
