/** AWS's evaluation logic, row by row (IAM user guide, "Policy evaluation logic" and its examples). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate, type Decision, type Grants } from './evaluate.ts'
import { parsePolicy, type PolicyKind } from './policy.ts'

const A = '111122223333'
const B = '444455556666'
const ADA = `arn:aws:iam::${A}:user/ada`
const CLUSTER = `arn:aws:cloudhsm:us-east-1:${A}:cluster/cluster-aaaaaaaaaaa`
const BACKUP_OF_B = `arn:aws:cloudhsm:us-east-1:${B}:backup/backup-bbbbbbbbbbb`
const BACKUP_OF_A = `arn:aws:cloudhsm:us-east-1:${A}:backup/backup-aaaaaaaaaaa`

const parse = (kind: PolicyKind, ...statements: object[]) =>
  parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), kind)
const identity = (...statements: object[]) => parse('identity', ...statements)
const resource = (...statements: object[]) => parse('resource', ...statements)
const allow = (Action: string | string[], Resource: string | string[] = '*', more: object = {}) => ({
  ...{ Effect: 'Allow', Action, Resource },
  ...more,
})
const deny = (Action: string | string[], Resource: string | string[] = '*', more: object = {}) => ({
  ...allow(Action, Resource, more),
  Effect: 'Deny',
})
const to = (AWS: string | string[]) => ({ Principal: { AWS } })

interface Asked {
  readonly identity?: Grants['identity']
  readonly session?: Grants['session']
  readonly resourcePolicy?: ReturnType<typeof resource>
  readonly action?: string
  readonly on?: string
  readonly owner?: string
  readonly context?: Readonly<Record<string, string[]>>
  readonly who?: { readonly account: string; readonly arn: string; readonly identityArn: string }
}

function decide(asked: Asked): Decision {
  return evaluate(
    asked.who ?? { account: A, arn: ADA, identityArn: ADA },
    { identity: asked.identity ?? [], session: asked.session },
    asked.resourcePolicy,
    {
      action: asked.action ?? 'cloudhsm:CreateHsm',
      resource: asked.on ?? CLUSTER,
      resourceAccount: asked.owner ?? A,
      context: new Map(Object.entries(asked.context ?? {})),
    },
  )
}

/** `yes`, or what refuses: `implicit identity-based`, `explicit session`, … */
function told(decision: Decision): string {
  return decision.allowed ? 'yes' : `${decision.explicit ? 'explicit' : 'implicit'} ${decision.by}`
}

const TABLES: Readonly<Record<string, readonly (readonly [string, Asked, string])[]>> = {
  'within an account': [
    ['nothing is allowed by default', {}, 'implicit identity-based'],
    ['a policy allows', { identity: [identity(allow('cloudhsm:CreateHsm'))] }, 'yes'],
    ['one of several policies allows', { identity: [identity(allow('s3:*')), identity(allow('cloudhsm:*'))] }, 'yes'],
    [
      'an explicit deny wins over an allow',
      { identity: [identity(allow('*'), deny('cloudhsm:CreateHsm'))] },
      'explicit identity-based',
    ],
    [
      'a deny in another policy wins as well',
      { identity: [identity(allow('*')), identity(deny('cloudhsm:*'))] },
      'explicit identity-based',
    ],
    [
      'the order of statements has no meaning',
      { identity: [identity(deny('cloudhsm:*'), allow('*'))] },
      'explicit identity-based',
    ],
    [
      'a deny of something else does not matter',
      { identity: [identity(allow('*'), deny('cloudhsm:DeleteHsm'))] },
      'yes',
    ],
    ['actions do not tell cases apart', { identity: [identity(allow('CloudHSM:createhsm'))] }, 'yes'],
    ['a wildcard in an action', { identity: [identity(allow('cloudhsm:Create*'))] }, 'yes'],
    [
      'a wildcard that means another action',
      { identity: [identity(allow('cloudhsm:Describe*'))] },
      'implicit identity-based',
    ],
    ['? in an action', { identity: [identity(allow('cloudhsm:CreateHs?'))] }, 'yes'],
    [
      'NotAction allows everything else',
      { identity: [identity({ Effect: 'Allow', NotAction: 'iam:*', Resource: '*' })] },
      'yes',
    ],
    [
      'NotAction does not allow what it names',
      { identity: [identity({ Effect: 'Allow', NotAction: 'cloudhsm:*', Resource: '*' })] },
      'implicit identity-based',
    ],
    [
      'NotAction with Deny',
      { identity: [identity(allow('*'), { Effect: 'Deny', NotAction: 'cloudhsm:Describe*', Resource: '*' })] },
      'explicit identity-based',
    ],
    ['the resource by its ARN', { identity: [identity(allow('*', CLUSTER))] }, 'yes'],
    [
      'another resource',
      { identity: [identity(allow('*', CLUSTER.replace('aaa', 'bbb')))] },
      'implicit identity-based',
    ],
    [
      'resources tell cases apart',
      { identity: [identity(allow('*', CLUSTER.toUpperCase().replace('ARN:AWS', 'arn:aws')))] },
      'implicit identity-based',
    ],
    ['a wildcard in the resource', { identity: [identity(allow('*', 'arn:aws:cloudhsm:*:*:cluster/*'))] }, 'yes'],
    [
      'a wildcard does not pass from one part to the next',
      { identity: [identity(allow('*', 'arn:aws:*:cluster/*'))] },
      'implicit identity-based',
    ],
    ['an ARN with parts left out', { identity: [identity(allow('*', 'arn:aws:cloudhsm'))] }, 'yes'],
    [
      'another region',
      { identity: [identity(allow('*', 'arn:aws:cloudhsm:eu-west-1:*:*'))] },
      'implicit identity-based',
    ],
    [
      'NotResource allows all others',
      { identity: [identity({ Effect: 'Allow', Action: '*', NotResource: BACKUP_OF_A })] },
      'yes',
    ],
    [
      'NotResource does not allow what it names',
      { identity: [identity({ Effect: 'Allow', Action: '*', NotResource: CLUSTER })] },
      'implicit identity-based',
    ],
    [
      'a listing is for all resources',
      { identity: [identity(allow('*', 'arn:aws:cloudhsm:*:*:*'))], on: '*' },
      'implicit identity-based',
    ],
    ['a listing that is allowed for all resources', { identity: [identity(allow('*', '*'))], on: '*' }, 'yes'],
    [
      'a condition that holds',
      {
        identity: [identity(allow('*', '*', { Condition: { StringEquals: { 'aws:username': 'ada' } } }))],
        context: { 'aws:username': ['ada'] },
      },
      'yes',
    ],
    [
      'a condition that does not',
      {
        identity: [identity(allow('*', '*', { Condition: { StringEquals: { 'aws:username': 'ada' } } }))],
        context: { 'aws:username': ['bob'] },
      },
      'implicit identity-based',
    ],
    [
      'a deny whose condition does not hold',
      { identity: [identity(allow('*'), deny('*', '*', { Condition: { Bool: { 'aws:x': 'true' } } }))] },
      'yes',
    ],
    ['a key of the account itself may do everything', { identity: 'everything' }, 'yes'],
  ],
  'with a policy of the resource, in the same account': [
    ['it may allow on its own', { on: BACKUP_OF_A, resourcePolicy: resource(allow('*', '*', to(ADA))) }, 'yes'],
    [
      'one that names the account leaves it to the account',
      { on: BACKUP_OF_A, resourcePolicy: resource(allow('*', '*', to(A))) },
      'implicit identity-based',
    ],
    [
      'one that names somebody else',
      { on: BACKUP_OF_A, resourcePolicy: resource(allow('*', '*', to(ADA.replace('ada', 'bob')))) },
      'implicit identity-based',
    ],
    [
      'one that names everybody',
      { on: BACKUP_OF_A, resourcePolicy: resource(allow('*', '*', { Principal: '*' })) },
      'yes',
    ],
    [
      'its deny wins',
      { identity: 'everything', on: BACKUP_OF_A, resourcePolicy: resource(deny('*', '*', to(ADA))) },
      'explicit resource-based',
    ],
    [
      'its deny for everybody wins',
      { identity: 'everything', on: BACKUP_OF_A, resourcePolicy: resource(deny('*', '*', { Principal: '*' })) },
      'explicit resource-based',
    ],
    [
      "the identity's deny wins over its allow",
      { identity: [identity(deny('*'))], on: BACKUP_OF_A, resourcePolicy: resource(allow('*', '*', to(ADA))) },
      'explicit identity-based',
    ],
  ],
  'across accounts': [
    [
      'both allow',
      { identity: [identity(allow('*'))], on: BACKUP_OF_B, owner: B, resourcePolicy: resource(allow('*', '*', to(A))) },
      'yes',
    ],
    [
      'both allow, by root ARN',
      {
        identity: 'everything',
        on: BACKUP_OF_B,
        owner: B,
        resourcePolicy: resource(allow('*', '*', to(`arn:aws:iam::${A}:root`))),
      },
      'yes',
    ],
    [
      'only the identity allows',
      { identity: [identity(allow('*'))], on: BACKUP_OF_B, owner: B },
      'implicit resource-based',
    ],
    [
      'only the resource allows',
      { on: BACKUP_OF_B, owner: B, resourcePolicy: resource(allow('*', '*', to(ADA))) },
      'implicit identity-based',
    ],
    [
      'the resource allows a third account',
      {
        identity: 'everything',
        on: BACKUP_OF_B,
        owner: B,
        resourcePolicy: resource(allow('*', '*', to('777788889999'))),
      },
      'implicit resource-based',
    ],
    [
      'the resource allows another action',
      {
        identity: 'everything',
        on: BACKUP_OF_B,
        owner: B,
        resourcePolicy: resource(allow('cloudhsm:DescribeBackups', '*', to(A))),
      },
      'implicit resource-based',
    ],
    [
      'the resource denies',
      {
        identity: 'everything',
        on: BACKUP_OF_B,
        owner: B,
        resourcePolicy: resource(allow('*', '*', to(A)), deny('*', '*', to(A))),
      },
      'explicit resource-based',
    ],
    [
      "the resource's condition does not hold",
      {
        identity: 'everything',
        on: BACKUP_OF_B,
        owner: B,
        resourcePolicy: resource(
          allow('*', '*', { ...to(A), Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }),
        ),
        context: { 'aws:sourceip': ['192.0.2.1'] },
      },
      'implicit resource-based',
    ],
  ],
  'in a session': [
    ['it may do what both allow', { identity: [identity(allow('*'))], session: identity(allow('cloudhsm:*')) }, 'yes'],
    [
      'it may not do what its own policy does not allow',
      { identity: [identity(allow('*'))], session: identity(allow('s3:*')) },
      'implicit session',
    ],
    [
      'its policy cannot give more',
      { identity: [identity(allow('s3:*'))], session: identity(allow('*')) },
      'implicit identity-based',
    ],
    [
      'its deny wins',
      { identity: 'everything', session: identity(allow('*'), deny('cloudhsm:*')) },
      'explicit session',
    ],
    [
      'it narrows a key that may do everything',
      { identity: 'everything', session: identity(allow('s3:*')) },
      'implicit session',
    ],
    [
      'a role is named by its own ARN',
      {
        who: { account: A, arn: `arn:aws:sts::${A}:assumed-role/ops/x`, identityArn: `arn:aws:iam::${A}:role/ops` },
        on: BACKUP_OF_A,
        resourcePolicy: resource(allow('*', '*', to(`arn:aws:iam::${A}:role/ops`))),
      },
      'yes',
    ],
    [
      'or by that of the session',
      {
        who: { account: A, arn: `arn:aws:sts::${A}:assumed-role/ops/x`, identityArn: `arn:aws:iam::${A}:role/ops` },
        on: BACKUP_OF_A,
        resourcePolicy: resource(allow('*', '*', to(`arn:aws:sts::${A}:assumed-role/ops/x`))),
      },
      'yes',
    ],
  ],
}
for (const [where, rows] of Object.entries(TABLES)) {
  describe(where, () => {
    for (const [what, asked, expected] of rows) {
      test(`${what}: ${expected}`, () => assert.equal(told(decide(asked)), expected))
    }
  })
}

test('the policies of the "evaluating identity-based policies" example: a deny unless from the office', () => {
  const policies = [
    identity(
      allow('cloudhsm:*'),
      deny('*', '*', { Condition: { NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '203.0.113.0/24'] } } }),
    ),
  ]
  const from = (ip: string) => told(decide({ identity: policies, context: { 'aws:sourceip': [ip] } }))
  assert.equal(from('192.0.2.7'), 'yes')
  assert.equal(from('198.51.100.1'), 'explicit identity-based')
})

test('a resource policy that must decide, as that of a role, is asked in the same account too', () => {
  const who = { account: A, arn: ADA, identityArn: ADA }
  const question = {
    action: 'sts:AssumeRole',
    resource: `arn:aws:iam::${A}:role/ops`,
    resourceAccount: A,
    context: new Map(),
  }
  const trusts = (statement: object, grants: Grants['identity']) =>
    told(
      evaluate(who, { identity: grants, session: undefined }, parse('trust', statement), question, {
        resourceDecides: true,
      }),
    )
  const trust = { Effect: 'Allow', Action: 'sts:AssumeRole' }
  assert.equal(trusts({ ...trust, ...to(B) }, 'everything'), 'implicit resource-based')
  assert.equal(trusts({ ...trust, ...to(A) }, []), 'implicit identity-based')
  assert.equal(trusts({ ...trust, ...to(A) }, [identity(allow('sts:AssumeRole'))]), 'yes')
  assert.equal(trusts({ ...trust, ...to(ADA) }, []), 'yes')
})
