/** What of STS there is, at the same endpoint: Terraform, SDKs and `aws sts` ask for it. */
import { ServiceError } from '../../provider-schema/errors.ts'
import type { Answer } from '../aws-json/reply.ts'
import type { Caller } from '../caller.ts'
import type { ApiPorts } from '../ports.ts'
import { assumeRole } from './assume-role.ts'
import { getCallerIdentity } from './get-caller-identity.ts'
import { getSessionToken } from './get-session-token.ts'
import { Form, queryResult, type Elements } from './query.ts'

const ACTIONS: Readonly<Record<string, (form: Form, caller: Caller, ports: ApiPorts) => Elements | Promise<Elements>>> =
  {
    GetCallerIdentity: (_form, caller) => getCallerIdentity(caller),
    GetSessionToken: getSessionToken,
    AssumeRole: assumeRole,
  }

/** Answers the form in a body; `onAction` hears its name, e.g. `sts:AssumeRole`. Throws UnknownOperationException. */
export async function answerSts(
  body: Buffer,
  caller: Caller,
  ports: ApiPorts,
  onAction: (name: string) => void,
): Promise<Answer> {
  const form = new Form(body)
  const { action } = form
  const perform = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined
  if (!perform) {
    const names = Object.keys(ACTIONS).join(', ')
    throw new ServiceError('UnknownOperationException', `Of STS these are available: ${names}.`)
  }
  onAction(`sts:${action}`)
  return queryResult(action, await perform(form, caller, ports), caller.requestId)
}
