/** Condition operators, row by row; most rows are examples of the IAM user guide. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conditionsOf, holds } from './conditions.ts'

type Context = Readonly<Record<string, string | readonly string[]>>
type Row = readonly [condition: object, context: Context, expected: boolean]

function isMet(condition: object, context: Context): boolean {
  const known = new Map(
    Object.entries(context).map(([key, value]) => [key.toLowerCase(), typeof value === 'string' ? [value] : value]),
  )
  return conditionsOf(condition, { variables: true }).every((each) => holds(each, known))
}

const ROWS: readonly Row[] = [
  // Strings.
  [
    { StringEquals: { 'aws:PrincipalTag/job-category': 'iamuser-admin' } },
    { 'aws:principaltag/job-category': 'iamuser-admin' },
    true,
  ],
  [
    { StringEquals: { 'aws:PrincipalTag/job-category': 'iamuser-admin' } },
    { 'aws:principaltag/job-category': 'IamUser-Admin' },
    false,
  ],
  [{ StringEquals: { 'aws:PrincipalTag/job-category': 'iamuser-admin' } }, {}, false],
  [
    { StringEquals: { 'aws:RequestedRegion': ['eu-central-1', 'eu-west-1'] } },
    { 'aws:RequestedRegion': 'eu-west-1' },
    true,
  ],
  [
    { StringEquals: { 'aws:RequestedRegion': ['eu-central-1', 'eu-west-1'] } },
    { 'aws:RequestedRegion': 'us-east-1' },
    false,
  ],
  [{ StringEquals: { 'aws:username': 'a*' } }, { 'aws:username': 'ada' }, false],
  [
    { StringEquals: { 'aws:ResourceTag/owner': '${aws:username}' } },
    { 'aws:username': 'ada', 'aws:ResourceTag/owner': 'ada' },
    true,
  ],
  [
    { StringEquals: { 'aws:ResourceTag/owner': '${aws:username}' } },
    { 'aws:username': 'ada', 'aws:ResourceTag/owner': 'bob' },
    false,
  ],
  [{ StringEquals: { 'aws:ResourceTag/owner': '${aws:username}' } }, { 'aws:ResourceTag/owner': '' }, false],
  [{ StringNotEquals: { 'aws:PrincipalTag/x': 'a' } }, { 'aws:PrincipalTag/x': 'b' }, true],
  [{ StringNotEquals: { 'aws:PrincipalTag/x': ['a', 'b'] } }, { 'aws:PrincipalTag/x': 'b' }, false],
  [{ StringNotEquals: { 'aws:PrincipalTag/x': 'a' } }, {}, true],
  [{ StringEqualsIgnoreCase: { 'aws:username': 'ADA' } }, { 'aws:username': 'ada' }, true],
  [{ StringNotEqualsIgnoreCase: { 'aws:username': 'ADA' } }, { 'aws:username': 'ada' }, false],
  [{ StringLike: { 'aws:RequestTag/env': 'prod-*' } }, { 'aws:RequestTag/env': 'prod-1' }, true],
  [{ StringLike: { 'aws:RequestTag/env': 'prod-?' } }, { 'aws:RequestTag/env': 'prod-12' }, false],
  [{ StringNotLike: { 'aws:RequestTag/env': 'prod-*' } }, { 'aws:RequestTag/env': 'test' }, true],
  // Several keys and operators must all hold.
  [{ StringEquals: { 'aws:a': '1', 'aws:b': '2' } }, { 'aws:a': '1', 'aws:b': '2' }, true],
  [{ StringEquals: { 'aws:a': '1', 'aws:b': '2' } }, { 'aws:a': '1', 'aws:b': '3' }, false],
  [{ StringEquals: { 'aws:a': '1' }, Bool: { 'aws:c': true } }, { 'aws:a': '1', 'aws:c': 'false' }, false],
  // Addresses.
  [{ IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } }, { 'aws:SourceIp': '203.0.113.27' }, true],
  [{ IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } }, { 'aws:SourceIp': '203.0.114.1' }, false],
  [{ IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } }, { 'aws:SourceIp': '::ffff:203.0.113.27' }, true],
  [
    { IpAddress: { 'aws:SourceIp': ['203.0.113.0/24', '2001:DB8:1234:5678::/64'] } },
    { 'aws:SourceIp': '2001:db8:1234:5678::1' },
    true,
  ],
  [{ IpAddress: { 'aws:SourceIp': '2001:DB8:1234:5678::/64' } }, { 'aws:SourceIp': '203.0.113.27' }, false],
  [{ IpAddress: { 'aws:SourceIp': '203.0.113.5' } }, { 'aws:SourceIp': '203.0.113.5' }, true],
  [{ IpAddress: { 'aws:SourceIp': '203.0.113.5' } }, {}, false],
  [{ IpAddress: { 'aws:SourceIp': '203.0.113.5' } }, { 'aws:SourceIp': 'not an address' }, false],
  [{ NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '203.0.113.0/24'] } }, { 'aws:SourceIp': '203.0.113.1' }, false],
  [{ NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '203.0.113.0/24'] } }, { 'aws:SourceIp': '198.51.100.1' }, true],
  // Truth.
  [{ Bool: { 'aws:SecureTransport': 'true' } }, { 'aws:SecureTransport': 'true' }, true],
  [{ Bool: { 'aws:SecureTransport': false } }, { 'aws:SecureTransport': 'true' }, false],
  [{ Bool: { 'aws:MultiFactorAuthPresent': 'false' } }, {}, false],
  [{ BoolIfExists: { 'aws:MultiFactorAuthPresent': 'false' } }, {}, true],
  [{ BoolIfExists: { 'aws:MultiFactorAuthPresent': 'false' } }, { 'aws:MultiFactorAuthPresent': 'true' }, false],
  // Numbers and dates.
  [{ NumericLessThanEquals: { 's3:max-keys': '10' } }, { 's3:max-keys': '10' }, true],
  [{ NumericLessThan: { 's3:max-keys': 10 } }, { 's3:max-keys': '10' }, false],
  [{ NumericGreaterThan: { 'x:n': '-1.5' } }, { 'x:n': '0' }, true],
  [{ NumericGreaterThanEquals: { 'x:n': '2' } }, { 'x:n': 'two' }, false],
  [{ NumericNotEquals: { 'x:n': '2' } }, { 'x:n': '2' }, false],
  [
    { DateGreaterThan: { 'aws:TokenIssueTime': '2020-01-01T00:00:01Z' } },
    { 'aws:TokenIssueTime': '2020-01-01T00:00:02.000Z' },
    true,
  ],
  [
    { DateLessThan: { 'aws:CurrentTime': '2020-06-30T23:59:59Z' } },
    { 'aws:CurrentTime': '2020-07-01T00:00:00Z' },
    false,
  ],
  [{ DateGreaterThanEquals: { 'aws:EpochTime': '1577836800' } }, { 'aws:EpochTime': '1577836800' }, true],
  [{ DateEquals: { 'aws:CurrentTime': '2020-01-01' } }, { 'aws:CurrentTime': '2020-01-01T00:00:00Z' }, true],
  // ARNs: a wildcard stays within its part.
  [
    { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/ops-*' } },
    { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/ops-1' },
    true,
  ],
  [
    { ArnEquals: { 'aws:PrincipalArn': 'arn:aws:iam::*:user/ada' } },
    { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:user/ada' },
    true,
  ],
  [
    { ArnLike: { 'aws:PrincipalArn': 'arn:*:user/ada' } },
    { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:user/ada' },
    false,
  ],
  [
    { ArnNotLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/ops' } },
    { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/ops' },
    false,
  ],
  // Presence.
  [{ Null: { 'aws:TokenIssueTime': 'true' } }, {}, true],
  [{ Null: { 'aws:TokenIssueTime': 'true' } }, { 'aws:TokenIssueTime': 'x' }, false],
  [{ Null: { 'aws:RequestTag/owner': 'false' } }, { 'aws:RequestTag/owner': 'ada' }, true],
  [{ Null: { 'aws:RequestTag/owner': false } }, {}, false],
  // IfExists.
  [{ StringEqualsIfExists: { 'aws:RequestTag/env': 'test' } }, {}, true],
  [{ StringEqualsIfExists: { 'aws:RequestTag/env': 'test' } }, { 'aws:RequestTag/env': 'prod' }, false],
  [{ 'ForAnyValue:StringEqualsIfExists': { 'aws:TagKeys': 'a' } }, {}, true],
  // Keys of several values.
  [
    { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['environment', 'cost-center'] } },
    { 'aws:TagKeys': ['environment'] },
    true,
  ],
  [
    { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['environment', 'cost-center'] } },
    { 'aws:TagKeys': ['environment', 'cost-center'] },
    true,
  ],
  [
    { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['environment', 'cost-center'] } },
    { 'aws:TagKeys': ['environment', 'owner'] },
    false,
  ],
  [{ 'ForAllValues:StringEquals': { 'aws:TagKeys': 'environment' } }, {}, true],
  [{ 'ForAllValues:StringEquals': { 'aws:TagKeys': 'environment' } }, { 'aws:TagKeys': [] }, true],
  [
    { 'ForAnyValue:StringEquals': { 'aws:TagKeys': ['environment', 'cost-center'] } },
    { 'aws:TagKeys': ['owner', 'environment'] },
    true,
  ],
  [{ 'ForAnyValue:StringEquals': { 'aws:TagKeys': 'environment' } }, { 'aws:TagKeys': ['owner'] }, false],
  [{ 'ForAnyValue:StringEquals': { 'aws:TagKeys': 'environment' } }, {}, false],
  [{ 'ForAllValues:StringNotEquals': { 'aws:TagKeys': ['secret'] } }, { 'aws:TagKeys': ['a', 'b'] }, true],
  [{ 'ForAllValues:StringNotEquals': { 'aws:TagKeys': ['secret'] } }, { 'aws:TagKeys': ['a', 'secret'] }, false],
  [{ 'ForAnyValue:StringNotEquals': { 'aws:TagKeys': ['a'] } }, { 'aws:TagKeys': ['a', 'b'] }, true],
  [{ 'ForAnyValue:StringNotEquals': { 'aws:TagKeys': ['a'] } }, {}, false],
  [{ 'ForAnyValue:StringLike': { 'aws:TagKeys': 'cost-*' } }, { 'aws:TagKeys': ['cost-center'] }, true],
]
for (const [condition, context, expected] of ROWS) {
  test(`${JSON.stringify(condition)} ${expected ? 'holds' : 'does not hold'} of ${JSON.stringify(context)}`, () => {
    assert.equal(isMet(condition, context), expected)
  })
}

const MALFORMED: readonly (readonly [unknown, RegExp])[] = [
  ['x', /object of operators/],
  [{ StringEquals: 'x' }, /object of keys/],
  [{ StringEqual: { 'aws:a': 'x' } }, /no condition operator 'StringEqual'/],
  [{ 'ForSome:StringEquals': { 'aws:a': 'x' } }, /no condition operator/],
  [{ NullIfExists: { 'aws:a': 'true' } }, /no condition operator/],
  [{ BinaryEquals: { 'aws:a': 'x' } }, /no condition operator/],
  [{ StringEquals: { username: 'x' } }, /not a condition key/],
  [{ StringEquals: { 'aws:a': [] } }, /no value/],
  [{ StringEquals: { 'aws:a': [{}] } }, /not a text/],
  [{ StringEquals: { 'aws:a': null } }, /not a text/],
  [{ Null: { 'aws:a': 'perhaps' } }, /true or false/],
  [{ Bool: { 'aws:a': 'yes' } }, /neither true nor false/],
  [{ IpAddress: { 'aws:a': '203.0.113.0/33' } }, /neither an IP address/],
  [{ IpAddress: { 'aws:a': '203.0.113' } }, /neither an IP address/],
  [{ IpAddress: { 'aws:a': '203.0.113.0/2/4' } }, /neither an IP address/],
  [{ NumericEquals: { 'aws:a': '1e9' } }, /not a number/],
  [{ DateLessThan: { 'aws:a': 'tomorrow' } }, /not a date/],
  [{ ArnLike: { 'aws:a': 'user/ada' } }, /neither \* nor an ARN/],
]
for (const [condition, words] of MALFORMED) {
  test(`${JSON.stringify(condition)} is refused`, () => {
    assert.throws(() => conditionsOf(condition, { variables: true }), words)
  })
}
