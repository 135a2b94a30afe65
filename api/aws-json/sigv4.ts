/**
 * AWS Signature Version 4, as far as a server needs it: from a request to the signature it must carry.
 *
 * Source: "Signature Version 4 signing process" in the AWS General Reference. Nothing here decides; `authenticate.ts` does.
 */
import { createHmac, hash } from 'node:crypto'
import type { Secret } from '../identity/secret.ts'

export const ALGORITHM = 'AWS4-HMAC-SHA256'

/** What a signing key is good for. */
export interface Scope {
  /** YYYYMMDD */
  readonly date: string
  readonly region: string
  readonly service: string
}

export interface SignableRequest {
  readonly method: string
  /** Path and query as they stand in the request line. */
  readonly target: string
  /** Values of a header, in the order they came; undefined when it was not sent. Asked with lower-case names. */
  readonly header: (name: string) => readonly string[] | undefined
  /** Lower-case names, in ascending order. */
  readonly signedHeaders: readonly string[]
  /** SHA-256 of the body, in hexadecimal. */
  readonly bodyHash: string
}

/** The text whose hash is signed. */
export function canonicalRequest(request: SignableRequest): string {
  const question = request.target.indexOf('?')
  const path = question < 0 ? request.target : request.target.slice(0, question)
  const query = question < 0 ? '' : request.target.slice(question + 1)
  let headers = ''
  for (const name of request.signedHeaders) headers += `${name}:${canonicalValue(request.header(name) ?? [])}\n`
  return `${request.method}\n${canonicalPath(path)}\n${canonicalQuery(query)}\n${headers}\n${request.signedHeaders.join(';')}\n${request.bodyHash}`
}

/** The text that is signed. `timestamp` is YYYYMMDD'T'HHMMSS'Z'. */
export function stringToSign(timestamp: string, scope: Scope, canonical: string): string {
  return `${ALGORITHM}\n${timestamp}\n${scope.date}/${scope.region}/${scope.service}/aws4_request\n${hash('sha256', canonical, 'hex')}`
}

/** The key for a day, region and service, derived from the secret. */
export function signingKey(secret: Secret, { date, region, service }: Scope): Buffer {
  return [date, region, service, 'aws4_request'].reduce<Buffer>(
    (key, part) => createHmac('sha256', key).update(part).digest(),
    Buffer.from(`AWS4${secret.reveal()}`),
  )
}

/** 32 bytes. */
export function signature(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** Values of one name joined with a comma, each trimmed and with runs of spaces as one. */
function canonicalValue(values: readonly string[]): string {
  return values.map((value) => value.trim().replace(/\s+/g, ' ')).join(',')
}

/** Dot segments and double slashes resolved, every segment encoded once more than it came. */
function canonicalPath(path: string): string {
  if (path === '/' || path === '') return '/'
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '.' && segment !== '') kept.push(encode(segment))
  }
  const end = kept.length > 0 && /\/\.{0,2}$/.test(path) ? '/' : ''
  return `/${kept.join('/')}${end}`
}

/** Parameters decoded, encoded strictly, and sorted by name, then by value. */
function canonicalQuery(query: string): string {
  if (query === '') return ''
  const pairs = query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=')
      const [name, value] = equals < 0 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)]
      return [encode(decode(name)), encode(decode(value))] as const
    })
  return pairs
    .toSorted(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/** RFC 3986: only unreserved characters stay as they are. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** What cannot be decoded stands for itself; the signature then decides. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
