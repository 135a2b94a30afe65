/** Which region a request is for: it stands in the credential scope of its signature (SigV4). */
import type { IncomingHttpHeaders } from 'node:http'

export interface CredentialScope {
  readonly region: string
  readonly service: string
}

/** `Credential=<key>/<date>/<region>/<service>/aws4_request`; the key itself is the API's business. */
const CREDENTIAL = /\bCredential=[^/,\s]{1,256}\/\d{1,8}\/([^/,\s]{1,64})\/([^/,\s]{1,64})\/aws4_request\b/

/** Undefined when the request is not signed, or so that nobody can tell. Nothing is verified here. */
export function scopeOf(headers: IncomingHttpHeaders): CredentialScope | undefined {
  const [, region, service] = CREDENTIAL.exec(headers.authorization ?? '') ?? []
  return region === undefined || service === undefined ? undefined : { region, service }
}
