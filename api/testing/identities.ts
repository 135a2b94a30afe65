/** Users, roles and their keys in the database of a test's API, made as `strongroom account` makes them. */
import { randomUUID } from 'node:crypto'
import type { Directory } from '../../provider-schema/identity.ts'
import {
  createAccessKey,
  createAccount,
  createRole,
  createUser,
  putPolicy,
  type Holder,
} from '../identity/directory.ts'
import { ACCOUNT, TEST_IDENTITY_KEY, type TestApi } from './api.ts'

export interface Credentials {
  readonly accessKeyId: string
  readonly secret: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Replaces the directory by what `change` makes of it. */
export async function changeDirectoryOf(api: TestApi, change: (directory: Directory) => Directory): Promise<void> {
  const { revision, directory } = await api.database.read.identity.load()
  const next = { revision: revision + 1, stamp: randomUUID(), directory: change(directory) }
  await api.database.read.identity.replace(next, new Date())
}

let made = 0

export interface NewTestUser {
  readonly account?: string
  readonly name?: string
  readonly tags?: Readonly<Record<string, string>>
  /** Statements of its only policy; none: it has no policy. */
  readonly statements?: readonly object[]
}

/** Makes a user with an access key, and the account when there is none yet. */
export async function userWith(api: TestApi, user: NewTestUser = {}): Promise<Credentials> {
  const { account = ACCOUNT, name = `user-${++made}`, tags = {}, statements = [] } = user
  let accessKeyId = ''
  const secret = `secret-of-${name}`.padEnd(20, '-')
  await changeDirectoryOf(api, (directory) => {
    const withUser = createUser(withAccount(directory, account), account, name, tags, new Date())
    const allowed = withPolicy(withUser, { account, user: name }, statements)
    const withKey = createAccessKey(allowed, { account, user: name }, { secret }, TEST_IDENTITY_KEY, new Date())
    accessKeyId = withKey.id
    return withKey.directory
  })
  return { accessKeyId, secret }
}

/** Makes a key of an account itself. */
export async function rootKeyOf(api: TestApi, account: string): Promise<Credentials> {
  let accessKeyId = ''
  const secret = `secret-of-root-${account}`
  await changeDirectoryOf(api, (directory) => {
    const key = createAccessKey(withAccount(directory, account), { account }, { secret }, TEST_IDENTITY_KEY, new Date())
    accessKeyId = key.id
    return key.directory
  })
  return { accessKeyId, secret }
}

export interface NewTestRole {
  readonly account?: string
  readonly name: string
  /** Principal of its trust policy. */
  readonly trusts: object | string
  readonly condition?: object
  readonly statements?: readonly object[]
  readonly maxSessionSeconds?: number
}

/** Makes a role; gives its ARN. */
export async function roleWith(api: TestApi, role: NewTestRole): Promise<string> {
  const { account = ACCOUNT, name, trusts, condition, statements = [], maxSessionSeconds = 3_600 } = role
  const trust = document([
    { Effect: 'Allow', Principal: trusts, Action: 'sts:AssumeRole', ...(condition && { Condition: condition }) },
  ])
  await changeDirectoryOf(api, (directory) => {
    const fresh = { name, trust, maxSessionSeconds, tags: {} }
    const made = createRole(withAccount(directory, account), account, fresh, new Date())
    return withPolicy(made, { account, role: name }, statements)
  })
  return `arn:aws:iam::${account}:role/${name}`
}

export const document = (statements: readonly object[]) =>
  JSON.stringify({ Version: '2012-10-17', Statement: statements })

const withAccount = (directory: Directory, account: string) =>
  directory.accounts.some((each) => each.id === account)
    ? directory
    : createAccount(directory, account, 'test', new Date())

const withPolicy = (directory: Directory, holder: Holder, statements: readonly object[]) =>
  statements.length === 0 ? directory : putPolicy(directory, holder, 'test', document(statements))
