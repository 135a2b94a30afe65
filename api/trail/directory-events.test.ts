import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import type { Directory } from '../../provider-schema/identity.ts'
import {
  createAccessKey,
  createAccount,
  createRole,
  createUser,
  deleteAccessKey,
  deleteAccount,
  deletePolicy,
  deleteRole,
  deleteUser,
  putPolicy,
  setAccessKeyActive,
  setTrust,
} from '../identity/directory.ts'
import { identityKey } from '../identity/identity-key.ts'
import { directoryEntries, MOST_EVENTS, type ChangedBy } from './directory-events.ts'

const AT = new Date('2026-03-01T10:00:00.500Z')
const ID = '222222222222'
const ADA = { account: ID, user: 'ada' }
const KEY = 'AKIAAAAAAAAAAAAAAAAA'
const SECRET = 'a-secret-that-nobody-sees'
const POLICY = '{"Statement":[{"Effect":"Allow","Action":"cloudhsm:Describe*","Resource":"*"}]}'
const TRUST = `{"Statement":{"Effect":"Allow","Principal":{"AWS":"${ID}"},"Action":"sts:AssumeRole"}}`
const BY: ChangedBy = { kind: 'operator', login: 'root', host: 'machine', userAgent: 'strongroom-account/0' }
const sealing = identityKey(Buffer.alloc(32, 1))

const account = createAccount({ accounts: [] }, ID, 'staging', AT)
const user = createUser(account, ID, 'ada', { team: 'payments' }, AT)
const withKey = keyed(user, SECRET)
const role = createRole(account, ID, { name: 'ops', trust: TRUST, maxSessionSeconds: 3_600, tags: {} }, AT)
const OPS = { account: ID, role: 'ops' }

function keyed(directory: Directory, secret: string, holder: object = ADA): Directory {
  return createAccessKey(directory, { account: ID, ...holder }, { secret, id: KEY }, sealing, AT).directory
}

const eventsOf = (before: Directory, after: Directory, by: ChangedBy = BY) =>
  directoryEntries({ before, after, by, at: AT, region: 'us-east-1', requestId: 'request-1' })

const shape = z.object({
  eventSource: z.string(),
  requestParameters: z.record(z.string(), z.unknown()),
  resources: z.tuple([z.object({ ARN: z.string() })]),
})

const created = new Date(AT).toISOString()
const ofUser = 'arn:aws:iam::222222222222:user/ada'
const cases: readonly [string, Directory, Directory, readonly (readonly [string, object, string])[]][] = [
  [
    'an account',
    { accounts: [] },
    account,
    [['CreateAccount', { accountId: ID, accountName: 'staging' }, `arn:aws:iam::${ID}:root`]],
  ],
  [
    'its end, with all that is in it',
    withKey,
    deleteAccount(withKey, ID),
    [['CloseAccount', { accountId: ID }, `arn:aws:iam::${ID}:root`]],
  ],
  ['a user', account, user, [['CreateUser', { userName: 'ada', tags: [{ key: 'team', value: 'payments' }] }, ofUser]]],
  [
    'the end of a user, with its keys',
    withKey,
    deleteUser(withKey, ID, 'ada'),
    [['DeleteUser', { userName: 'ada' }, ofUser]],
  ],
  ['a key', user, withKey, [['CreateAccessKey', { userName: 'ada' }, ofUser]]],
  [
    'a key of the account',
    account,
    keyed(account, SECRET, { user: undefined }),
    [['CreateAccessKey', {}, `arn:aws:iam::${ID}:root`]],
  ],
  [
    'a key that is switched off',
    withKey,
    setAccessKeyActive(withKey, KEY, false),
    [['UpdateAccessKey', { userName: 'ada', accessKeyId: KEY, status: 'Inactive' }, ofUser]],
  ],
  [
    'the end of a key',
    withKey,
    deleteAccessKey(withKey, KEY),
    [['DeleteAccessKey', { userName: 'ada', accessKeyId: KEY }, ofUser]],
  ],
  [
    'a key of the same id with another secret',
    withKey,
    keyed(deleteAccessKey(withKey, KEY), 'another-secret-of-it'),
    [
      ['DeleteAccessKey', { userName: 'ada', accessKeyId: KEY }, ofUser],
      ['CreateAccessKey', { userName: 'ada' }, ofUser],
    ],
  ],
  [
    'a policy',
    user,
    putPolicy(user, ADA, 'read', POLICY),
    [['PutUserPolicy', { userName: 'ada', policyName: 'read', policyDocument: POLICY }, ofUser]],
  ],
  [
    'the end of a policy',
    putPolicy(user, ADA, 'read', POLICY),
    user,
    [['DeleteUserPolicy', { userName: 'ada', policyName: 'read' }, ofUser]],
  ],
  [
    'a role',
    account,
    role,
    [
      [
        'CreateRole',
        { roleName: 'ops', assumeRolePolicyDocument: TRUST, maxSessionDuration: 3_600, tags: [] },
        `arn:aws:iam::${ID}:role/ops`,
      ],
    ],
  ],
  [
    'whom a role trusts',
    role,
    setTrust(role, ID, 'ops', TRUST.replace(ID, '333333333333')),
    [
      [
        'UpdateAssumeRolePolicy',
        { roleName: 'ops', policyDocument: TRUST.replace(ID, '333333333333') },
        `arn:aws:iam::${ID}:role/ops`,
      ],
    ],
  ],
  [
    'a policy of a role',
    role,
    putPolicy(role, OPS, 'read', POLICY),
    [['PutRolePolicy', { roleName: 'ops', policyName: 'read', policyDocument: POLICY }, `arn:aws:iam::${ID}:role/ops`]],
  ],
  [
    'the end of a role',
    deletePolicy(putPolicy(role, OPS, 'read', POLICY), OPS, 'read'),
    deleteRole(role, ID, 'ops'),
    [['DeleteRole', { roleName: 'ops' }, `arn:aws:iam::${ID}:role/ops`]],
  ],
  [
    'a user made anew under the same name',
    user,
    createUser(deleteUser(user, ID, 'ada'), ID, 'ada', {}, AT),
    [
      ['DeleteUser', { userName: 'ada' }, ofUser],
      ['CreateUser', { userName: 'ada', tags: [] }, ofUser],
    ],
  ],
  ['nothing', withKey, structuredClone(withKey), []],
]

for (const [what, before, after, expected] of cases) {
  test(`${what} is told in the words of IAM`, () => {
    const told = eventsOf(before, after).map(({ operation, event }) => {
      const { eventSource, requestParameters, resources } = shape.parse(JSON.parse(event))
      assert.equal(eventSource, /Account$/.test(operation) ? 'organizations.amazonaws.com' : 'iam.amazonaws.com')
      return [operation, requestParameters, resources[0].ARN]
    })
    assert.deepEqual(told, expected)
  })
}

test('an event has all members of a CloudTrail record, and names who was at the terminal', () => {
  const [entry] = eventsOf(user, withKey)
  assert.ok(entry)
  const { eventID, ...event } = z.looseObject({ eventID: z.uuid() }).parse(JSON.parse(entry.event))
  assert.ok(eventID)
  assert.deepEqual(event, {
    eventVersion: '1.11',
    userIdentity: {
      type: 'Unknown',
      principalId: 'root',
      arn: 'arn:strongroom:operator::machine:user/root',
      userName: 'root',
      invokedBy: 'strongroom account',
    },
    eventTime: '2026-03-01T10:00:00Z',
    eventSource: 'iam.amazonaws.com',
    eventName: 'CreateAccessKey',
    awsRegion: 'us-east-1',
    sourceIPAddress: 'machine',
    userAgent: 'strongroom-account/0',
    requestParameters: { userName: 'ada' },
    responseElements: { accessKey: { userName: 'ada', accessKeyId: KEY, status: 'Active', createDate: created } },
    requestID: 'request-1',
    readOnly: false,
    resources: [{ accountId: ID, type: 'AWS::IAM::User', ARN: ofUser }],
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: ID,
    eventCategory: 'Management',
  })
  assert.deepEqual(
    [entry.account, entry.resource, entry.principal],
    [ID, ofUser, 'arn:strongroom:operator::machine:user/root'],
  )
})

test('no secret is in it, sealed or not', () => {
  const sealed = withKey.accounts[0]?.users[0]?.accessKeys[0]?.sealed ?? ''
  assert.ok(sealed.length > 20)
  const text = JSON.stringify([...eventsOf({ accounts: [] }, withKey), ...eventsOf(withKey, user)])
  assert.equal(text.includes(sealed), false)
  assert.equal(text.includes(SECRET), false)
})

test('more than fit are told by their number', () => {
  const many = Array.from({ length: MOST_EVENTS + 50 }, (_, at) => `user-${at}`)
  const after = many.reduce((directory, name) => createUser(directory, ID, name, {}, AT), account)
  const entries = eventsOf(account, after, { kind: 'region', region: 'eu-west-1' })
  assert.equal(entries.length, MOST_EVENTS)
  const last = z
    .object({ eventName: z.string(), serviceEventDetails: z.unknown() })
    .parse(JSON.parse(entries.at(-1)?.event ?? ''))
  assert.deepEqual(last, { eventName: 'AccountsReplaced', serviceEventDetails: { furtherChanges: 51 } })
})
