/** Temporary credentials as an answer shows them, and the document that may narrow them. */
import { IDENTITY_LIMITS } from '../../provider-schema/identity.ts'
import { ServiceError } from '../../provider-schema/errors.ts'
import { MalformedPolicy, parsePolicy } from '../identity/policy.ts'
import type { TemporaryCredentials } from '../ports.ts'
import { invalid, type Elements, type Form } from './query.ts'

export function presentCredentials({ accessKeyId, secret, sessionToken, expiresAt }: TemporaryCredentials): Elements {
  return {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secret.reveal(),
    SessionToken: sessionToken,
    Expiration: `${expiresAt.toISOString().slice(0, 19)}Z`,
  }
}

/** From now on, to the second: an answer shows no more. */
export function lifetime(now: Date, seconds: number) {
  const from = Math.floor(now.getTime() / 1000) * 1000
  return { issuedAt: new Date(from), expiresAt: new Date(from + seconds * 1000) }
}

/** The session policy of a request. Throws MalformedPolicyDocumentException. */
export function sessionPolicyOf(form: Form): string | undefined {
  const document = form.text('Policy')
  if (document === undefined) return undefined
  if (document.length > IDENTITY_LIMITS.sessionPolicy) {
    throw invalid(`A session policy may have ${IDENTITY_LIMITS.sessionPolicy} characters, not ${document.length}.`)
  }
  try {
    parsePolicy(document, 'identity')
  } catch (error) {
    if (!(error instanceof MalformedPolicy)) throw error
    throw new ServiceError('MalformedPolicyDocumentException', error.message)
  }
  return document
}
