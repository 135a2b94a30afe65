/** Who asks, once it is proven. */
import type { AccountId } from '../provider-schema/ids.ts'
import type { Identity } from './identity/principal.ts'

export interface Caller extends Identity {
  readonly account: AccountId
  readonly principalArn: string
  readonly accessKeyId: string
  /** Of this request: in the answer's x-amzn-RequestId, in the log and in the audit trail. */
  readonly requestId: string
  readonly sourceIp: string | undefined
}
