/** Who may ask this region: access keys of the configuration, and those that `strongroom account` made. */
import type { AccountId } from '../../provider-schema/ids.ts'
import { configuredKey } from '../../api/identity/configured.ts'
import { identities } from '../../api/identity/identities.ts'
import type { AccessKey, IdentityPort } from '../../api/ports.ts'
import type { Account } from '../configuration/configuration.ts'
import { loadIdentityKey } from '../identity/identity-key-file.ts'
import type { RegionContext } from './region.ts'

export async function regionIdentity({ settings, database, fleet, log }: RegionContext): Promise<IdentityPort> {
  const identityKey = await loadIdentityKey(fleet)
  return identities({ configured: keysOf(settings.accounts), database, identityKey, log })
}

function keysOf(accounts: readonly Account[]): ReadonlyMap<string, AccessKey> {
  const keys = new Map<string, AccessKey>()
  for (const account of accounts) {
    for (const { id, secret, user } of account.accessKeys) {
      // The schema of the configuration has looked at the digits.
      keys.set(id, configuredKey(account.id as AccountId, id, secret, user))
    }
  }
  return keys
}
