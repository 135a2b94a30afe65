/**
 * Changes to the directory of accounts: pure functions from one directory to the next. They refuse what IAM refuses, with
 * texts for the person at the terminal.
 */
import {
  IDENTITY_LIMITS,
  newAccessKeyId,
  newRoleId,
  newUserId,
  POLICY_NAME,
  PRINCIPAL_NAME,
  type Directory,
  type StoredAccessKey,
  type StoredAccount,
  type StoredRole,
  type StoredUser,
} from '../../provider-schema/identity.ts'
import type { IdentityKey } from './identity-key.ts'
import { MalformedPolicy, parsePolicy, type PolicyKind } from './policy.ts'

/** A change that cannot be made. Nothing was changed. */
export class IdentityRefusal extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'IdentityRefusal'
  }
}

/** Whose keys or policies are meant: of the account itself when neither is given. */
export interface Holder {
  readonly account: string
  readonly user?: string | undefined
  readonly role?: string | undefined
}

type Tags = Readonly<Record<string, string>>

export function createAccount(directory: Directory, id: string, name: string, now: Date): Directory {
  if (!/^\d{12}$/.test(id)) throw new IdentityRefusal(`${id} is not an account: an account has twelve digits.`)
  if (directory.accounts.some((each) => each.id === id)) throw new IdentityRefusal(`There is an account ${id} already.`)
  if (directory.accounts.length >= IDENTITY_LIMITS.accounts) {
    throw new IdentityRefusal(`There can be ${IDENTITY_LIMITS.accounts} accounts.`)
  }
  if (name.length > 128) throw new IdentityRefusal('The name of an account has at most 128 characters.')
  const account = { id, name, createdAt: now.toISOString(), accessKeys: [], users: [], roles: [] }
  return { accounts: [...directory.accounts, account].toSorted((a, b) => (a.id < b.id ? -1 : 1)) }
}

export function deleteAccount(directory: Directory, id: string): Directory {
  accountIn(directory, id)
  return { accounts: directory.accounts.filter((each) => each.id !== id) }
}

export function accountIn(directory: Directory, id: string): StoredAccount {
  const found = directory.accounts.find((each) => each.id === id)
  if (!found) throw new IdentityRefusal(`There is no account ${id}.`)
  return found
}

export function createUser(directory: Directory, account: string, name: string, tags: Tags, now: Date): Directory {
  return changeAccount(directory, account, (found) => {
    requireNewName(found.users, name, `user ${name}`)
    requireTags(tags)
    const fresh = { name, id: newUserId(), createdAt: now.toISOString(), tags: { ...tags }, policies: {} }
    return { ...found, users: sorted([...found.users, { ...fresh, accessKeys: [] }]) }
  })
}

export interface NewRole {
  readonly name: string
  readonly trust: string
  readonly maxSessionSeconds: number
  readonly tags: Tags
}

export function createRole(directory: Directory, account: string, role: NewRole, now: Date): Directory {
  return changeAccount(directory, account, (found) => {
    requireNewName(found.roles, role.name, `role ${role.name}`)
    requireTags(role.tags)
    requireDocument(role.trust, 'trust')
    const { usualOfRole, longestOfRole } = IDENTITY_LIMITS.sessionSeconds
    if (!(role.maxSessionSeconds >= usualOfRole && role.maxSessionSeconds <= longestOfRole)) {
      throw new IdentityRefusal(`A role's sessions last at most ${usualOfRole} to ${longestOfRole} seconds.`)
    }
    const { name, trust, maxSessionSeconds, tags } = role
    const fresh = { name, id: newRoleId(), createdAt: now.toISOString(), tags: { ...tags }, policies: {} }
    return { ...found, roles: sorted([...found.roles, { ...fresh, trust, maxSessionSeconds }]) }
  })
}

export function setTrust(directory: Directory, account: string, name: string, trust: string): Directory {
  requireDocument(trust, 'trust')
  return changeRole(directory, account, name, (role) => ({ ...role, trust }))
}

/** With its access keys and policies. */
export function deleteUser(directory: Directory, account: string, name: string): Directory {
  return changeAccount(directory, account, (found) => {
    requireNamed(found.users, name, `user ${name}`)
    return { ...found, users: found.users.filter((each) => each.name !== name) }
  })
}

/** Sessions of it end as well. */
export function deleteRole(directory: Directory, account: string, name: string): Directory {
  return changeAccount(directory, account, (found) => {
    requireNamed(found.roles, name, `role ${name}`)
    return { ...found, roles: found.roles.filter((each) => each.name !== name) }
  })
}

export interface NewAccessKey {
  readonly secret: string
  /** Made when it is left out. */
  readonly id?: string | undefined
}

/** Adds an access key; the directory holds its secret sealed only. */
export function createAccessKey(
  directory: Directory,
  holder: Holder,
  { secret, id = newAccessKeyId() }: NewAccessKey,
  identityKey: IdentityKey,
  now: Date,
): { readonly directory: Directory; readonly id: string } {
  if (!/^AKIA[A-Z2-7]{16}$/.test(id)) {
    throw new IdentityRefusal(`${id} is not an access key id: AKIA and 16 of A–Z and 2–7.`)
  }
  if (accessKeysOf(directory).some((each) => each.key.id === id)) {
    throw new IdentityRefusal(`There is an access key ${id} already.`)
  }
  if (secret.length < 16 || secret.length > 128 || !/^[\x21-\x7e]+$/.test(secret)) {
    throw new IdentityRefusal('A secret access key has 16 to 128 visible ASCII characters.')
  }
  const sealed = identityKey.sealSecret(secret, id)
  const key = { id, sealed, active: true, createdAt: now.toISOString() }
  const most = IDENTITY_LIMITS.accessKeysPerPrincipal
  const next = changeKeys(directory, holder, (keys) => {
    if (keys.length >= most) {
      throw new IdentityRefusal(`${spoken(holder)} has ${most} access keys already: delete one first.`)
    }
    return [...keys, key]
  })
  return { directory: next, id }
}

export interface HeldAccessKey {
  readonly holder: Holder
  readonly key: StoredAccessKey
}

export function accessKeysOf(directory: Directory): HeldAccessKey[] {
  return directory.accounts.flatMap(({ id: account, accessKeys, users }) => [
    ...accessKeys.map((key) => ({ holder: { account }, key })),
    ...users.flatMap(({ name, accessKeys: keys }) => keys.map((key) => ({ holder: { account, user: name }, key }))),
  ])
}

/** One that is not active opens nothing, and can be made active again. */
export function setAccessKeyActive(directory: Directory, id: string, active: boolean): Directory {
  const { holder } = holderOf(directory, id)
  return changeKeys(directory, holder, (keys) => keys.map((key) => (key.id === id ? { ...key, active } : key)))
}

export function deleteAccessKey(directory: Directory, id: string): Directory {
  const { holder } = holderOf(directory, id)
  return changeKeys(directory, holder, (keys) => keys.filter((key) => key.id !== id))
}

function holderOf(directory: Directory, id: string): HeldAccessKey {
  const found = accessKeysOf(directory).find((each) => each.key.id === id)
  if (!found) throw new IdentityRefusal(`There is no access key ${id}.`)
  return found
}

export function putPolicy(directory: Directory, holder: Holder, name: string, document: string): Directory {
  if (!POLICY_NAME.test(name)) throw new IdentityRefusal(`${name} is not a name for a policy.`)
  requireDocument(document, 'identity')
  return changePolicies(directory, holder, (policies) => {
    const next = { ...policies, [name]: document }
    const most = IDENTITY_LIMITS.policiesPerPrincipal
    if (Object.keys(next).length > most) throw new IdentityRefusal(`${spoken(holder)} has ${most} policies already.`)
    return next
  })
}

export function deletePolicy(directory: Directory, holder: Holder, name: string): Directory {
  return changePolicies(directory, holder, (policies) => {
    if (!Object.hasOwn(policies, name)) throw new IdentityRefusal(`${spoken(holder)} has no policy ${name}.`)
    return Object.fromEntries(Object.entries(policies).filter(([each]) => each !== name))
  })
}

/** The user or role with these policies. */
export function policyHolder(directory: Directory, { account, user, role }: Holder): StoredUser | StoredRole {
  const found = accountIn(directory, account)
  if (user !== undefined && role === undefined) return requireNamed(found.users, user, `user ${user}`)
  if (role !== undefined && user === undefined) return requireNamed(found.roles, role, `role ${role}`)
  throw new IdentityRefusal('Policies are of a user or of a role: name one of them.')
}

function changeAccount(directory: Directory, id: string, change: (account: StoredAccount) => StoredAccount): Directory {
  accountIn(directory, id)
  return { accounts: directory.accounts.map((each) => (each.id === id ? change(each) : each)) }
}

function changeUser(directory: Directory, account: string, name: string, change: (user: StoredUser) => StoredUser) {
  return changeAccount(directory, account, (found) => {
    requireNamed(found.users, name, `user ${name}`)
    return { ...found, users: found.users.map((each) => (each.name === name ? change(each) : each)) }
  })
}

function changeRole(directory: Directory, account: string, name: string, change: (role: StoredRole) => StoredRole) {
  return changeAccount(directory, account, (found) => {
    requireNamed(found.roles, name, `role ${name}`)
    return { ...found, roles: found.roles.map((each) => (each.name === name ? change(each) : each)) }
  })
}

type Keys = StoredAccount['accessKeys']

function changeKeys(directory: Directory, { account, user }: Holder, change: (keys: Keys) => Keys): Directory {
  if (user === undefined) {
    return changeAccount(directory, account, (found) => ({ ...found, accessKeys: change(found.accessKeys) }))
  }
  return changeUser(directory, account, user, (found) => ({ ...found, accessKeys: change(found.accessKeys) }))
}

type Policies = StoredUser['policies']

function changePolicies(directory: Directory, holder: Holder, change: (policies: Policies) => Policies): Directory {
  const { account, user, role } = holder
  policyHolder(directory, holder)
  if (user !== undefined) {
    return changeUser(directory, account, user, (found) => ({ ...found, policies: change(found.policies) }))
  }
  return changeRole(directory, account, role ?? '', (found) => ({ ...found, policies: change(found.policies) }))
}

const sorted = <Named extends { readonly name: string }>(list: readonly Named[]) =>
  list.toSorted((a, b) => (a.name < b.name ? -1 : 1))

function requireNamed<Named extends { readonly name: string }>(list: readonly Named[], name: string, what: string) {
  const found = list.find((each) => each.name === name)
  if (!found) throw new IdentityRefusal(`There is no ${what}.`)
  return found
}

/** Names differ by more than their case, as at AWS. */
function requireNewName(list: readonly { readonly name: string }[], name: string, what: string): void {
  if (!PRINCIPAL_NAME.test(name)) {
    throw new IdentityRefusal(`${name.slice(0, 80)} is not a name: up to 64 letters, digits and _+=,.@-`)
  }
  if (list.some((each) => each.name.toLowerCase() === name.toLowerCase())) {
    throw new IdentityRefusal(`There is a ${what} already.`)
  }
  if (list.length >= IDENTITY_LIMITS.principals) {
    throw new IdentityRefusal(`An account can have ${IDENTITY_LIMITS.principals} of these.`)
  }
}

function requireTags(tags: Tags): void {
  const entries = Object.entries(tags)
  const most = IDENTITY_LIMITS.tagsPerPrincipal
  if (entries.length > most) throw new IdentityRefusal(`There can be ${most} tags.`)
  for (const [key, value] of entries) {
    if (key === '' || key.length > 128 || value.length > 256) {
      throw new IdentityRefusal('A tag has a key of 1 to 128 and a value of up to 256 characters.')
    }
  }
}

function requireDocument(document: string, kind: PolicyKind): void {
  try {
    parsePolicy(document, kind)
  } catch (error) {
    if (error instanceof MalformedPolicy) throw new IdentityRefusal(error.message)
    throw error
  }
}

const spoken = ({ account, user, role }: Holder) =>
  user !== undefined ? `The user ${user}` : role !== undefined ? `The role ${role}` : `The account ${account}`
