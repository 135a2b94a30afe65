/** STS AssumeRole: temporary credentials of a role, for whom its trust policy lets in. */
import { ServiceError } from '../../provider-schema/errors.ts'
import { IDENTITY_LIMITS } from '../../provider-schema/identity.ts'
import type { Caller } from '../caller.ts'
import { evaluate } from '../identity/evaluate.ts'
import { assumedRoleOf } from '../identity/principal.ts'
import { contextOf } from '../identity/request-context.ts'
import type { Role } from '../identity/snapshot.ts'
import type { ApiPorts } from '../ports.ts'
import { lifetime, presentCredentials, sessionPolicyOf } from './credentials.ts'
import { invalid, type Elements, type Form } from './query.ts'

const ROLE_ARN = /^arn:aws:iam::\d{12}:role\/[\w+=,.@-]{1,64}$/
const SESSION_NAME = /^[\w+=,.@-]{2,64}$/
const EXTERNAL_ID = /^[\w+=,.@:/-]{2,1224}$/
const UNSUPPORTED = [
  ...['PolicyArns', 'Tags', 'TransitiveTagKeys', 'SerialNumber', 'TokenCode', 'SourceIdentity', 'ProvidedContexts'],
]

export async function assumeRole(form: Form, caller: Caller, ports: ApiPorts): Promise<Elements> {
  form.refuse(UNSUPPORTED)
  const arn = form.required('RoleArn', ROLE_ARN)
  const sessionName = form.required('RoleSessionName', SESSION_NAME)
  const externalId = form.text('ExternalId') === undefined ? undefined : form.required('ExternalId', EXTERNAL_ID)
  const { shortest: min, longestOfRole: max } = IDENTITY_LIMITS.sessionSeconds
  const wanted = form.number('DurationSeconds', { min, max })
  const policy = sessionPolicyOf(form)
  if (caller.principal.type === 'Root') {
    throw new ServiceError('AccessDeniedException', 'Roles may not be assumed by root accounts.')
  }
  const role = await ports.identity.role(arn)
  // Whether there is such a role is not told to whom it does not let in.
  if (!role || !isTrusted(role, caller, ports, { sessionName, externalId })) {
    const text = `User: ${caller.principalArn} is not authorized to perform: sts:AssumeRole on resource: ${arn}`
    throw new ServiceError('AccessDeniedException', text)
  }
  const credentials = ports.identity.issue({
    account: role.account,
    kind: 'role',
    name: role.stored.name,
    principalId: role.stored.id,
    sessionName,
    ...(policy !== undefined && { policy }),
    ...lifetime(ports.realClock(), secondsOf(wanted, role, caller)),
  })
  const assumed = assumedRoleOf(role.account, role.stored, sessionName)
  return {
    Credentials: presentCredentials(credentials),
    AssumedRoleUser: { AssumedRoleId: assumed.userId, Arn: assumed.arn },
    ...(policy !== undefined && {
      PackedPolicySize: Math.ceil((100 * policy.length) / IDENTITY_LIMITS.sessionPolicy),
    }),
  }
}

/** A role may have a limit of its own; from role to role a session is never longer than an hour. */
function secondsOf(wanted: number | undefined, { stored }: Role, { principal }: Caller): number {
  const { usualOfRole } = IDENTITY_LIMITS.sessionSeconds
  if (wanted === undefined) return Math.min(usualOfRole, stored.maxSessionSeconds)
  if (principal.type === 'AssumedRole' && wanted > usualOfRole) {
    throw invalid('The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining')
  }
  if (wanted > stored.maxSessionSeconds) {
    throw invalid('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
  }
  return wanted
}

interface Wish {
  readonly sessionName: string
  readonly externalId: string | undefined
}

function isTrusted(
  role: Role,
  caller: Caller,
  { region, realClock }: ApiPorts,
  { sessionName, externalId }: Wish,
): boolean {
  const { principal, grants, account, sourceIp } = caller
  const context = contextOf({
    principal,
    region,
    sourceIp,
    now: realClock(),
    resourceAccount: role.account,
    resourceTags: role.stored.tags,
    more: { 'sts:RoleSessionName': sessionName, ...(externalId !== undefined && { 'sts:ExternalId': externalId }) },
  })
  const who = { account, arn: principal.arn, identityArn: principal.identityArn }
  const question = { action: 'sts:AssumeRole', resource: role.arn, resourceAccount: role.account, context }
  return evaluate(who, grants, role.trust, question, { resourceDecides: true }).allowed
}
