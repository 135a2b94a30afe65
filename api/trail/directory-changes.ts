/**
 * What changed between two directories of accounts, in the names that IAM and AWS Organizations have for it in
 * CloudTrail. Computed from the two, so that no way to change accounts can forget to say so. Holds no secret: of an access
 * key its id, never what is sealed.
 */
import type {
  Directory,
  StoredAccessKey,
  StoredAccount,
  StoredRole,
  StoredUser,
} from '../../provider-schema/identity.ts'
import { roleArn, userArn } from '../identity/principal.ts'

export interface DirectoryChange {
  readonly source: 'iam.amazonaws.com' | 'organizations.amazonaws.com'
  readonly name: string
  readonly account: string
  readonly request: Readonly<Record<string, unknown>>
  readonly response?: Readonly<Record<string, unknown>>
  readonly resource: { readonly type: string; readonly arn: string }
}

/** In the order of accounts, users, roles; what is gone first. What goes with an account or a user is not named again. */
export function changesBetween(before: Directory, after: Directory): DirectoryChange[] {
  const { gone, all } = compared(before.accounts, after.accounts, ({ id }) => id)
  return [
    ...gone.map(({ id }): DirectoryChange => ({ ...ofAccount('CloseAccount', id), request: { accountId: id } })),
    ...all.flatMap(([old, now]) => {
      const fresh = old
        ? []
        : [{ ...ofAccount('CreateAccount', now.id), request: { accountId: now.id, accountName: now.name } }]
      return [...fresh, ...inAccount(old, now)]
    }),
  ]
}

function inAccount(old: StoredAccount | undefined, now: StoredAccount): DirectoryChange[] {
  const { id } = now
  const root = { account: id, resource: { type: 'AWS::IAM::User', arn: `arn:aws:iam::${id}:root` }, named: {} }
  const users = compared(old?.users ?? [], now.users, (user) => user.id)
  const roles = compared(old?.roles ?? [], now.roles, (role) => role.id)
  return [
    ...keyChanges(root, old?.accessKeys ?? [], now.accessKeys),
    ...users.gone.map((user) => change(userOf(id, user), 'DeleteUser')),
    ...users.all.flatMap(([was, user]) => userChanges(id, was, user)),
    ...roles.gone.map((role) => change(roleOf(id, role), 'DeleteRole')),
    ...roles.all.flatMap(([was, role]) => roleChanges(id, was, role)),
  ]
}

function userChanges(account: string, was: StoredUser | undefined, user: StoredUser): DirectoryChange[] {
  const subject = userOf(account, user)
  return [
    ...(was ? [] : [change(subject, 'CreateUser', { tags: tagList(user.tags) })]),
    ...keyChanges(subject, was?.accessKeys ?? [], user.accessKeys),
    ...policyChanges(subject, 'User', was?.policies ?? {}, user.policies),
  ]
}

function roleChanges(account: string, was: StoredRole | undefined, role: StoredRole): DirectoryChange[] {
  const subject = roleOf(account, role)
  const created = {
    assumeRolePolicyDocument: role.trust,
    maxSessionDuration: role.maxSessionSeconds,
    tags: tagList(role.tags),
  }
  return [
    ...(was ? [] : [change(subject, 'CreateRole', created)]),
    ...(was && was.trust !== role.trust
      ? [change(subject, 'UpdateAssumeRolePolicy', { policyDocument: role.trust })]
      : []),
    ...policyChanges(subject, 'Role', was?.policies ?? {}, role.policies),
  ]
}

/** Who is changed, and how a request names it. */
interface Subject {
  readonly account: string
  readonly resource: DirectoryChange['resource']
  readonly named: Readonly<Record<string, string>>
}

const userOf = (account: string, { name }: StoredUser): Subject => ({
  account,
  resource: { type: 'AWS::IAM::User', arn: userArn(account, name) },
  named: { userName: name },
})
const roleOf = (account: string, { name }: StoredRole): Subject => ({
  account,
  resource: { type: 'AWS::IAM::Role', arn: roleArn(account, name) },
  named: { roleName: name },
})

const ofAccount = (name: string, id: string) => ({
  source: 'organizations.amazonaws.com' as const,
  name,
  account: id,
  resource: { type: 'AWS::Organizations::Account', arn: `arn:aws:iam::${id}:root` },
})

const change = ({ account, resource, named }: Subject, name: string, request: object = {}): DirectoryChange => ({
  source: 'iam.amazonaws.com',
  name,
  account,
  request: { ...named, ...request },
  resource,
})

function keyChanges(subject: Subject, before: readonly StoredAccessKey[], after: readonly StoredAccessKey[]) {
  // One of the same id with another secret is another key.
  const { gone, all } = compared(before, after, ({ id, sealed }) => `${id} ${sealed}`)
  return [
    ...gone.map(({ id }) => change(subject, 'DeleteAccessKey', { accessKeyId: id })),
    ...all.flatMap(([was, { id, active, createdAt }]): DirectoryChange[] => {
      const status = active ? 'Active' : 'Inactive'
      if (was) {
        return was.active === active ? [] : [change(subject, 'UpdateAccessKey', { accessKeyId: id, status })]
      }
      const accessKey = { ...subject.named, accessKeyId: id, status, createDate: createdAt }
      return [{ ...change(subject, 'CreateAccessKey'), response: { accessKey } }]
    }),
  ]
}

type Policies = Readonly<Record<string, string>>

function policyChanges(subject: Subject, kind: 'User' | 'Role', before: Policies, after: Policies): DirectoryChange[] {
  const { gone, all } = compared(Object.entries(before), Object.entries(after), ([name]) => name)
  return [
    ...gone.map(([policyName]) => change(subject, `Delete${kind}Policy`, { policyName })),
    ...all.flatMap(([was, [policyName, policyDocument]]) =>
      was?.[1] === policyDocument ? [] : [change(subject, `Put${kind}Policy`, { policyName, policyDocument })],
    ),
  ]
}

const tagList = (tags: Policies) => Object.entries(tags).map(([key, value]) => ({ key, value }))

/** What is in the first list only, and all of the second, each with what it was in the first. */
function compared<Item>(before: readonly Item[], after: readonly Item[], keyOf: (item: Item) => string) {
  const old = new Map(before.map((item) => [keyOf(item), item]))
  const all = after.map((item) => [old.get(keyOf(item)), item] as const)
  for (const item of after) old.delete(keyOf(item))
  return { gone: [...old.values()], all }
}
