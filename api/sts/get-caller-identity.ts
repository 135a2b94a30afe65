/** STS GetCallerIdentity: who am I? Nobody needs a permission for it. */
import type { Caller } from '../caller.ts'
import type { Elements } from './query.ts'

export function getCallerIdentity({ principal }: Caller): Elements {
  return { Arn: principal.arn, UserId: principal.userId, Account: principal.account }
}
