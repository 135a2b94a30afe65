/** Access keys that the operator wrote into the configuration: each may do everything in its account. */
import type { AccountId } from '../../provider-schema/ids.ts'
import type { AccessKey } from '../ports.ts'
import { userOf } from './principal.ts'
import { Secret } from './secret.ts'

/** `id` of the access key; `user` is the name that its principal's ARN has. */
export function configuredKey(account: AccountId, id: string, secret: string, user = id): AccessKey {
  return {
    principal: userOf(account, { name: user, id }),
    grants: { identity: 'everything', session: undefined },
    secret: new Secret(secret),
  }
}
