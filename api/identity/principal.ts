/** Principals: whose name a request is made in, and what policies may know of them. */
import type { AccountId } from '../../provider-schema/ids.ts'
import type { Grants } from './evaluate.ts'

export interface Principal {
  readonly account: AccountId
  /** As CloudTrail calls them. */
  readonly type: 'Root' | 'IAMUser' | 'AssumedRole'
  /** e.g. `arn:aws:iam::111122223333:user/ada`, `arn:aws:sts::111122223333:assumed-role/ops/nightly`. */
  readonly arn: string
  /** Of the user or role behind it; the same as `arn` but for an assumed role. */
  readonly identityArn: string
  /** As GetCallerIdentity tells it: `AIDA…`, `AROA…:nightly`, or the account. */
  readonly userId: string
  /** Of a user. */
  readonly userName: string | undefined
  readonly tags: Readonly<Record<string, string>>
  /** Of temporary credentials. */
  readonly session: { readonly issuedAt: Date; readonly expiresAt: Date } | undefined
}

/** Somebody, and what they may do. */
export interface Identity {
  readonly principal: Principal
  readonly grants: Grants
}

const PLAIN = { userName: undefined, tags: {}, session: undefined } as const

export function rootOf(account: AccountId): Principal {
  const arn = `arn:aws:iam::${account}:root`
  return { ...PLAIN, account, type: 'Root', arn, identityArn: arn, userId: account }
}

export function userOf(
  account: AccountId,
  { name, id, tags = {} }: { name: string; id: string; tags?: Readonly<Record<string, string>> },
): Principal {
  const arn = userArn(account, name)
  return { ...PLAIN, account, type: 'IAMUser', arn, identityArn: arn, userId: id, userName: name, tags }
}

export function assumedRoleOf(
  account: AccountId,
  role: { readonly name: string; readonly id: string; readonly tags: Readonly<Record<string, string>> },
  sessionName: string,
): Principal {
  return {
    ...PLAIN,
    account,
    type: 'AssumedRole',
    arn: `arn:aws:sts::${account}:assumed-role/${role.name}/${sessionName}`,
    identityArn: roleArn(account, role.name),
    userId: `${role.id}:${sessionName}`,
    tags: role.tags,
  }
}

export const userArn = (account: string, name: string) => `arn:aws:iam::${account}:user/${name}`
export const roleArn = (account: string, name: string) => `arn:aws:iam::${account}:role/${name}`
