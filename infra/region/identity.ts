/** Access keys of the configuration. */
import type { AccountId } from '../../provider-schema/ids.ts'
import { Secret } from '../../api/identity/secret.ts'
import type { AccessKey, IdentityPort } from '../../api/ports.ts'
import type { Account } from '../configuration/configuration.ts'

export function configuredIdentity(accounts: readonly Account[]): IdentityPort {
  const keys = new Map<string, AccessKey>()
  for (const account of accounts) {
    // The schema of the configuration has looked at the digits.
    const accountId = account.id as AccountId
    for (const { id, secret, user = id } of account.accessKeys) {
      const principalArn = `arn:aws:iam::${accountId}:user/${user}`
      keys.set(id, { accountId, principalArn, secret: new Secret(secret) })
    }
  }
  return { find: (id) => Promise.resolve(keys.get(id)) }
}
