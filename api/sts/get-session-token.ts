/** STS GetSessionToken: temporary credentials of one's own. Nobody needs a permission for it. */
import { ServiceError } from '../../provider-schema/errors.ts'
import { IDENTITY_LIMITS } from '../../provider-schema/identity.ts'
import type { Caller } from '../caller.ts'
import type { ApiPorts } from '../ports.ts'
import { lifetime, presentCredentials } from './credentials.ts'
import type { Elements, Form } from './query.ts'

export function getSessionToken(form: Form, caller: Caller, { identity, realClock }: ApiPorts): Elements {
  form.refuse(['SerialNumber', 'TokenCode'])
  const { principal, accessKeyId } = caller
  if (principal.session) {
    throw new ServiceError('AccessDeniedException', 'Cannot call GetSessionToken with session credentials')
  }
  const { shortest: min, longest: max, usual, ofRoot } = IDENTITY_LIMITS.sessionSeconds
  const isRoot = principal.type === 'Root'
  const wanted = form.number('DurationSeconds', { min, max }) ?? usual
  const isConfigured = identity.isConfigured(accessKeyId)
  const credentials = identity.issue({
    account: principal.account,
    kind: isConfigured ? 'configured' : isRoot ? 'root' : 'user',
    name: principal.userName ?? '',
    principalId: isConfigured ? accessKeyId : principal.userId,
    // An account's own sessions last an hour, whatever was asked for.
    ...lifetime(realClock(), isRoot ? Math.min(wanted, ofRoot) : wanted),
  })
  return { Credentials: presentCredentials(credentials) }
}
