/** Signs requests as a client does: with the server's own canonicalisation, so what it proves is proven of real signers too. */
import { hash } from 'node:crypto'
import { basicFormat } from '../aws-json/authenticate.ts'
import { ALGORITHM, canonicalRequest, signature, signingKey, stringToSign } from '../aws-json/sigv4.ts'
import { Secret } from '../identity/secret.ts'

export interface ToSign {
  readonly host: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
  readonly region?: string
  readonly service?: string
  readonly accessKeyId?: string
  readonly secret?: string
  readonly at?: Date
  /** Headers that are sent but not signed. */
  readonly unsigned?: readonly string[]
  /** Without a signature at all. */
  readonly anonymous?: boolean
}

/** All headers of a signed `POST /`. */
export function signed(request: ToSign): Record<string, string> {
  const { region = 'us-east-1', service = 'cloudhsm', accessKeyId = 'test', secret = 'test', at = new Date() } = request
  const timestamp = basicFormat(at.getTime())
  const headers: Record<string, string> = { host: request.host, 'x-amz-date': timestamp, ...request.headers }
  if (request.anonymous === true) return headers
  const signedHeaders = Object.keys(headers)
    .filter((name) => !request.unsigned?.includes(name))
    .toSorted()
  const scope = { date: timestamp.slice(0, 8), region, service }
  const canonical = canonicalRequest({
    method: 'POST',
    target: '/',
    header: (name) => (headers[name] === undefined ? undefined : [headers[name]]),
    signedHeaders,
    bodyHash: hash('sha256', request.body, 'hex'),
  })
  const key = signingKey(new Secret(secret), scope)
  const proof = signature(key, stringToSign(timestamp, scope, canonical)).toString('hex')
  const credential = `${accessKeyId}/${scope.date}/${region}/${service}/aws4_request`
  return {
    ...headers,
    authorization: `${ALGORITHM} Credential=${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${proof}`,
  }
}
