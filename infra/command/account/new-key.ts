/** Shows an access key, the only time that its secret can be shown. */
import { terminal } from './terminal.ts'

export interface NewKey {
  /** ARN of whose it is. */
  readonly principal: string
  readonly id: string
  /** Undefined when whoever gave it knows it already. */
  readonly secret: string | undefined
}

/** As JSON with the members of IAM's CreateAccessKey. */
export function printNewKey({ principal, id, secret }: NewKey, json = false): void {
  if (json) {
    const key = { AccessKeyId: id, ...(secret !== undefined && { SecretAccessKey: secret }), Arn: principal }
    terminal.say(`${JSON.stringify(key)}\n`)
    return
  }
  terminal.say(`Access key of ${principal}:\n\n`)
  if (secret === undefined) terminal.say(`  ${id}\n\n`)
  else {
    terminal.say(`  export AWS_ACCESS_KEY_ID=${id} AWS_SECRET_ACCESS_KEY=${secret}\n\n`)
    terminal.say('The secret is not shown again: it is stored sealed.\n')
  }
}
