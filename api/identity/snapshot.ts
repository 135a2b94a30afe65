/** The directory of accounts, read once and asked for every request. */
import type { AccountId } from '../../provider-schema/ids.ts'
import type { Directory, StoredAccessKey, StoredRole, StoredUser } from '../../provider-schema/identity.ts'
import type { Grants } from './evaluate.ts'
import type { IdentityKey } from './identity-key.ts'
import { MalformedPolicy, parsePolicy, SILENT, type Policy, type PolicyKind } from './policy.ts'
import { roleArn, rootOf, userOf, type Identity } from './principal.ts'
import type { Secret } from './secret.ts'

export interface Role {
  readonly account: AccountId
  readonly arn: string
  readonly stored: StoredRole
  readonly grants: Grants
  readonly trust: Policy
}

export interface Snapshot {
  /** Of an active access key; throws when its secret cannot be opened. */
  accessKey(id: string): (Identity & { readonly secret: Secret }) | undefined
  root(account: string): Identity | undefined
  user(account: string, name: string): (Identity & { readonly id: string }) | undefined
  role(arn: string): Role | undefined
}

interface Held {
  readonly identity: Identity
  readonly key: StoredAccessKey
}

/** What a stored policy that cannot be read means: nothing is allowed. `report` is told of it. */
export type Report = (trouble: { readonly what: string; readonly why: string }) => void

export function snapshotOf(directory: Directory, identityKey: IdentityKey, report: Report): Snapshot {
  const keys = new Map<string, Held>()
  const roots = new Map<string, Identity>()
  const users = new Map<string, Identity & { readonly id: string }>()
  const roles = new Map<string, Role>()
  const secrets = new Map<string, Secret>()
  const hold = (identity: Identity, held: readonly StoredAccessKey[]) => {
    for (const key of held) if (key.active) keys.set(key.id, { identity, key })
  }
  for (const stored of directory.accounts) {
    // The schema of the directory has looked at the digits.
    const account = stored.id as AccountId
    const root: Identity = { principal: rootOf(account), grants: { identity: 'everything', session: undefined } }
    roots.set(account, root)
    hold(root, stored.accessKeys)
    for (const user of stored.users) {
      const principal = userOf(account, user)
      const identity = { principal, grants: grantsOf(principal.arn, user, report), id: user.id }
      users.set(principal.arn, identity)
      hold(identity, user.accessKeys)
    }
    for (const role of stored.roles) {
      const arn = roleArn(account, role.name)
      const trust = readable(arn, role.trust, 'trust', report) ?? SILENT
      roles.set(arn, { account, arn, stored: role, grants: grantsOf(arn, role, report), trust })
    }
  }
  return {
    accessKey: (id) => {
      const held = keys.get(id)
      if (!held) return undefined
      let secret = secrets.get(id)
      if (!secret) {
        secret = identityKey.openSecret(held.key.sealed, id)
        secrets.set(id, secret)
      }
      return { ...held.identity, secret }
    },
    root: (account) => roots.get(account),
    user: (account, name) => users.get(`arn:aws:iam::${account}:user/${name}`),
    role: (arn) => roles.get(arn),
  }
}

/** One unreadable policy may have been the one that denies: then nothing is allowed at all. */
function grantsOf(arn: string, { policies }: StoredUser | StoredRole, report: Report): Grants {
  const identity: Policy[] = []
  for (const [name, document] of Object.entries(policies)) {
    const policy = readable(`${arn} policy ${name}`, document, 'identity', report)
    if (!policy) return { identity: [], session: undefined }
    identity.push(policy)
  }
  return { identity, session: undefined }
}

function readable(what: string, document: string, kind: PolicyKind, report: Report): Policy | undefined {
  try {
    return parsePolicy(document, kind)
  } catch (error) {
    if (!(error instanceof MalformedPolicy)) throw error
    report({ what, why: error.message })
    return undefined
  }
}
