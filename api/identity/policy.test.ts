import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MalformedPolicy, MOST_CHARACTERS, parsePolicy, type PolicyKind } from './policy.ts'

const ALLOW = { Effect: 'Allow', Action: '*', Resource: '*' }
const TRUST = { Effect: 'Allow', Principal: { AWS: '111122223333' }, Action: 'sts:AssumeRole' }
const policy = (...statements: unknown[]) => ({ Version: '2012-10-17', Statement: statements })

const WELL_FORMED: readonly (readonly [string, object, PolicyKind])[] = [
  ['one statement without a list', { Statement: ALLOW }, 'identity'],
  ['an id and statement ids', { Id: 'x', ...policy({ ...ALLOW, Sid: 'one' }) }, 'identity'],
  ['NotAction and NotResource', policy({ Effect: 'Deny', NotAction: 'cloudhsm:*', NotResource: ['*'] }), 'identity'],
  ['an ARN with parts left out', policy({ ...ALLOW, Resource: 'arn:aws:cloudhsm' }), 'identity'],
  [
    'a variable in a resource',
    policy({ ...ALLOW, Resource: 'arn:aws:cloudhsm:*:*:cluster/${aws:username}' }),
    'identity',
  ],
  ['an account as principal', policy({ ...ALLOW, Principal: { AWS: 'arn:aws:iam::111122223333:root' } }), 'resource'],
  ['a trust policy', policy(TRUST), 'trust'],
  ['a service as principal', policy({ ...TRUST, Principal: { Service: 'ec2.amazonaws.com' } }), 'trust'],
]
for (const [what, document, kind] of WELL_FORMED) {
  test(`takes ${what}`, () => assert.doesNotThrow(() => parsePolicy(JSON.stringify(document), kind)))
}

const MALFORMED: readonly (readonly [string, unknown, PolicyKind, RegExp])[] = [
  ['a list', [], 'identity', /must be an object/],
  ['no statement', { Version: '2012-10-17' }, 'identity', /at least one Statement/],
  ['no statement in the list', policy(), 'identity', /at least one Statement/],
  ['another version', { Version: '2012-10-18', Statement: ALLOW }, 'identity', /Version must be one of/],
  ['an unknown element', { ...policy(ALLOW), Statements: [] }, 'identity', /unknown element 'Statements'/],
  [
    'an unknown element of a statement',
    policy({ ...ALLOW, Actions: [] }),
    'identity',
    /statement 1 has an unknown .*'Actions'/,
  ],
  ['an effect that is none', policy({ ...ALLOW, Effect: 'allow' }), 'identity', /Effect of statement 1/],
  ['no action', policy({ Effect: 'Allow', Resource: '*' }), 'identity', /either Action or NotAction/],
  ['both kinds of action', policy({ ...ALLOW, NotAction: '*' }), 'identity', /either Action or NotAction/],
  ['an empty list of actions', policy({ ...ALLOW, Action: [] }), 'identity', /Action of statement 1 is empty/],
  ['an action without a service', policy({ ...ALLOW, Action: 'DescribeClusters' }), 'identity', /nor an action/],
  ['a number as action', policy({ ...ALLOW, Action: 5 }), 'identity', /must be a text/],
  ['no resource', policy({ Effect: 'Allow', Action: '*' }), 'identity', /either Resource or NotResource/],
  ['a resource that is no ARN', policy({ ...ALLOW, Resource: 'cluster-1' }), 'identity', /neither \* nor an ARN/],
  [
    'a variable without an end',
    policy({ ...ALLOW, Resource: 'arn:aws:cloudhsm:*:*:cluster/${aws:username' }),
    'identity',
    /has no end/,
  ],
  [
    'a principal in a user’s policy',
    policy({ ...ALLOW, Principal: '*' }),
    'identity',
    /Principal in statement 1 belongs/,
  ],
  ['no principal', policy(ALLOW), 'resource', /statement 1 has no Principal/],
  ['NotPrincipal', policy({ ...ALLOW, NotPrincipal: '*' }), 'resource', /NotPrincipal in statement 1/],
  [
    'a principal of an unknown kind',
    policy({ ...ALLOW, Principal: { Account: '1' } }),
    'resource',
    /no kind 'Account'/,
  ],
  ['a principal that is nobody', policy({ ...ALLOW, Principal: { AWS: 'ada' } }), 'resource', /neither an account nor/],
  [
    'a wildcard in a principal',
    policy({ ...ALLOW, Principal: { AWS: 'arn:aws:iam::111122223333:user/*' } }),
    'resource',
    /neither an account nor/,
  ],
  ['a resource in a trust policy', policy({ ...TRUST, Resource: '*' }), 'trust', /no place in a trust policy/],
  [
    'a condition that is none',
    policy(ALLOW, { ...ALLOW, Condition: { X: { 'aws:a': '1' } } }),
    'identity',
    /no condition operator 'X'/,
  ],
]
for (const [what, document, kind, words] of MALFORMED) {
  test(`refuses ${what}, and names it`, () => {
    assert.throws(
      () => parsePolicy(JSON.stringify(document), kind),
      (error) => error instanceof MalformedPolicy && words.test(error.message),
    )
  })
}

test('refuses what is not JSON without repeating it', () => {
  assert.throws(() => parsePolicy('{"hunter2', 'identity'), /^MalformedPolicy: The policy is not valid JSON\.$/)
})

test('white space does not count for the length, up to as much again', () => {
  const document = JSON.stringify(policy({ ...ALLOW, Sid: 'x'.repeat(MOST_CHARACTERS.identity - 200) }))
  const most = MOST_CHARACTERS.identity
  assert.doesNotThrow(() => parsePolicy(document.padEnd(2 * most), 'identity'))
  assert.throws(() => parsePolicy(document.padEnd(2 * most + 1), 'identity'), /longer than 6144 characters/)
  const long = JSON.stringify(policy({ ...ALLOW, Sid: 'x'.repeat(most) }))
  assert.throws(() => parsePolicy(long, 'identity'), /longer than 6144 characters/)
})

test('elements nested without end are refused, not followed', () => {
  const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`
  assert.throws(() => parsePolicy(`{"Statement":${deep}}`, 'resource'), MalformedPolicy)
})

test('whatever is given for a policy is read, or refused as malformed', () => {
  const word = fc.constantFrom(
    'Allow',
    'Deny',
    '*',
    'cloudhsm:*',
    'arn:aws:cloudhsm:*',
    'AWS',
    '${aws:username}',
    '${',
    'true',
  )
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      word,
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          'Statement',
          'Effect',
          'Action',
          'Resource',
          'Condition',
          'Principal',
          'StringLike',
          'aws:a',
          'AWS',
        ),
        tie('value'),
      ),
    ),
  }))
  const kinds = fc.constantFrom<PolicyKind>('identity', 'resource', 'trust')
  fc.assert(
    fc.property(value, kinds, (Statement, kind) => {
      try {
        parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement }), kind)
      } catch (error) {
        assert.ok(error instanceof MalformedPolicy, String(error))
      }
    }),
    { numRuns: 1_000 },
  )
})
