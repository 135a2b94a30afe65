/** Temporary credentials: GetSessionToken, AssumeRole, and requests that are signed with them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { identityKey } from '../identity/identity-key.ts'
import { deletePolicy, deleteRole, deleteUser, createRole } from '../identity/directory.ts'
import { ACCOUNT, OTHER_ACCOUNT, TEST_IDENTITY_KEY, testApi, type TestApi } from '../testing/api.ts'
import { changeDirectoryOf, document, roleWith, rootKeyOf, userWith, type Credentials } from '../testing/identities.ts'
import { signed } from '../testing/signer.ts'

let api: TestApi
let clock: Date
before(async () => {
  clock = new Date()
  api = await testApi({ realClock: () => clock })
})
after(() => api.close())

const TEST: Credentials = { accessKeyId: 'test', secret: 'test' }
const EVERYTHING = [{ Effect: 'Allow', Action: '*', Resource: '*' }]

interface StsReply {
  readonly status: number
  readonly code: string | undefined
  readonly message: string
  /** Text of an element. */
  readonly of: (element: string) => string
}

async function sts(parameters: Readonly<Record<string, string>>, as: Credentials = TEST): Promise<StsReply> {
  const body = new URLSearchParams({ Version: '2011-06-15', ...parameters }).toString()
  const { accessKeyId, secret, headers = {} } = as
  const all = signed({
    host: new URL(api.url).host,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', ...headers },
    service: 'sts',
    body,
    accessKeyId,
    secret,
    at: clock,
  })
  const response = await fetch(api.url, { method: 'POST', headers: all, body })
  const text = await response.text()
  const of = (element: string) => new RegExp(`<${element}>([^<]*)</${element}>`).exec(text)?.[1] ?? ''
  return { status: response.status, code: of('Code') || undefined, message: of('Message'), of }
}

async function session(parameters: Readonly<Record<string, string>>, as?: Credentials) {
  const reply = await sts(parameters, as)
  assert.equal(reply.status, 200, `${String(reply.code)} ${reply.message}`)
  const credentials = {
    accessKeyId: reply.of('AccessKeyId'),
    secret: reply.of('SecretAccessKey'),
    headers: { 'x-amz-security-token': reply.of('SessionToken') },
    at: clock,
  }
  return { ...credentials, reply }
}
const lasts = (reply: StsReply) =>
  Math.round((Date.parse(reply.of('Expiration')) - Math.floor(clock.getTime() / 1000) * 1000) / 1000)
const assume = (RoleArn: string, more: Readonly<Record<string, string>> = {}) => ({
  ...{ Action: 'AssumeRole', RoleArn, RoleSessionName: 'nightly' },
  ...more,
})
const refusal = async (as: object) => api.refusal('DescribeClusters', {}, { at: clock, ...as })
const INVALID = 'UnrecognizedClientException'

describe('GetSessionToken', () => {
  test('gives credentials that may do what their owner may', async () => {
    const user = await userWith(api, { name: 'ada', statements: [{ ...EVERYTHING[0], Action: 'cloudhsm:Describe*' }] })
    const temporary = await session({ Action: 'GetSessionToken' }, user)
    assert.match(temporary.accessKeyId, /^ASIA[A-Z2-7]{16}$/)
    assert.equal(temporary.secret.length, 40)
    assert.equal(lasts(temporary.reply), 43_200)
    await api.ask('DescribeClusters', {}, temporary)
    assert.equal(
      (await api.refusal('DeleteCluster', { ClusterId: 'cluster-aaaaaaaaaaa' }, temporary)).code,
      'AccessDeniedException',
    )
    const who = await sts({ Action: 'GetCallerIdentity' }, temporary)
    assert.equal(who.of('Arn'), `arn:aws:iam::${ACCOUNT}:user/ada`)
  })

  test('works for keys of the configuration and of an account, whose sessions last an hour', async () => {
    await api.ask('DescribeClusters', {}, await session({ Action: 'GetSessionToken' }))
    const root = await session(
      { Action: 'GetSessionToken', DurationSeconds: '129600' },
      await rootKeyOf(api, '333333333333'),
    )
    assert.equal(lasts(root.reply), 3_600)
    await api.ask('DescribeClusters', {}, root)
  })

  test('lasts as long as it was asked to, within bounds, and no longer', async () => {
    const temporary = await session({ Action: 'GetSessionToken', DurationSeconds: '900' })
    assert.equal(lasts(temporary.reply), 900)
    const issued = clock
    try {
      clock = new Date(issued.getTime() + 899_000)
      await api.ask('DescribeClusters', {}, { ...temporary, at: clock })
      clock = new Date(issued.getTime() + 901_000)
      const { code, message } = await refusal({ ...temporary, at: clock })
      assert.deepEqual(
        [code, message],
        ['ExpiredTokenException', 'The security token included in the request is expired'],
      )
      const expired = await sts({ Action: 'GetCallerIdentity' }, temporary)
      assert.deepEqual([expired.status, expired.code], [403, 'ExpiredToken'])
    } finally {
      clock = issued
    }
    for (const DurationSeconds of ['899', '129601', 'x', '1e3', '-5']) {
      const { status, code } = await sts({ Action: 'GetSessionToken', DurationSeconds })
      assert.deepEqual([status, code], [400, 'ValidationError'], DurationSeconds)
    }
  })

  test('is not for temporary credentials, and knows no second factor', async () => {
    const { code, message } = await sts({ Action: 'GetSessionToken' }, await session({ Action: 'GetSessionToken' }))
    assert.deepEqual([code, message], ['AccessDenied', 'Cannot call GetSessionToken with session credentials'])
    const factor = await sts({ Action: 'GetSessionToken', SerialNumber: 'x', TokenCode: '123456' })
    assert.match(factor.message, /SerialNumber is not supported/)
  })
})

describe('AssumeRole', () => {
  test('gives the role to whom its trust policy names, under the name of the session', async () => {
    const arn = await roleWith(api, {
      name: 'ops',
      trusts: { AWS: OTHER_ACCOUNT },
      statements: [{ Effect: 'Allow', Action: 'cloudhsm:DescribeClusters', Resource: '*' }],
    })
    const taken = await session(assume(arn), { accessKeyId: 'other', secret: 'other' })
    assert.equal(lasts(taken.reply), 3_600)
    assert.equal(taken.reply.of('Arn'), `arn:aws:sts::${ACCOUNT}:assumed-role/ops/nightly`)
    assert.match(taken.reply.of('AssumedRoleId'), /^AROA[A-Z2-7]{16}:nightly$/)
    await api.ask('DescribeClusters', {}, taken)
    const { message } = await api.refusal('DescribeBackups', {}, taken)
    assert.match(String(message), /^User: arn:aws:sts::000000000000:assumed-role\/ops\/nightly is not authorized/)
    const who = await sts({ Action: 'GetCallerIdentity' }, taken)
    assert.deepEqual([who.of('Account'), who.of('UserId')], [ACCOUNT, taken.reply.of('AssumedRoleId')])
  })

  test('is refused in the same words whether there is such a role or not', async () => {
    const arn = await roleWith(api, { name: 'closed', trusts: { AWS: '999999999999' } })
    for (const each of [arn, arn.replace('closed', 'missing')]) {
      const { status, code, message } = await sts(assume(each))
      assert.deepEqual([status, code], [403, 'AccessDenied'])
      const who = `arn:aws:iam::${ACCOUNT}:user/test`
      assert.equal(message, `User: ${who} is not authorized to perform: sts:AssumeRole on resource: ${each}`)
    }
  })

  test('needs the permission of an own account where the trust policy leaves it to the account', async () => {
    const arn = await roleWith(api, { name: 'inner', trusts: { AWS: ACCOUNT } })
    assert.equal((await sts(assume(arn), await userWith(api))).code, 'AccessDenied')
    const statements = [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: arn }]
    await session(assume(arn), await userWith(api, { statements }))
    const named = await userWith(api, { name: 'named' })
    await session(
      assume(await roleWith(api, { name: 'direct', trusts: { AWS: `arn:aws:iam::${ACCOUNT}:user/named` } })),
      named,
    )
  })

  test('asks for the external id that the trust policy asks for', async () => {
    const condition = { StringEquals: { 'sts:ExternalId': 'agreed' } }
    const arn = await roleWith(api, { name: 'external', trusts: { AWS: ACCOUNT }, condition })
    assert.equal((await sts(assume(arn))).code, 'AccessDenied')
    assert.equal((await sts(assume(arn, { ExternalId: 'guessed' }))).code, 'AccessDenied')
    await session(assume(arn, { ExternalId: 'agreed' }))
  })

  test('narrows the role by a session policy', async () => {
    const arn = await roleWith(api, { name: 'wide', trusts: { AWS: ACCOUNT }, statements: EVERYTHING })
    const Policy = document([{ Effect: 'Allow', Action: 'cloudhsm:DescribeBackups', Resource: '*' }])
    const narrow = await session(assume(arn, { Policy }))
    assert.match(narrow.reply.of('PackedPolicySize'), /^\d+$/)
    await api.ask('DescribeBackups', {}, narrow)
    const { message } = await api.refusal('DescribeClusters', {}, narrow)
    assert.match(String(message), /because no session policy allows the cloudhsm:DescribeClusters action$/)
    const malformed = await sts(assume(arn, { Policy: '{"Statement":[]}' }))
    assert.deepEqual([malformed.status, malformed.code], [400, 'MalformedPolicyDocument'])
    assert.equal((await sts(assume(arn, { Policy: ' '.repeat(2_049) }))).code, 'ValidationError')
  })

  test('lasts as long as role and caller allow', async () => {
    const arn = await roleWith(api, {
      name: 'long',
      trusts: { AWS: ACCOUNT },
      statements: EVERYTHING,
      maxSessionSeconds: 7_200,
    })
    const taken = await session(assume(arn, { DurationSeconds: '7200' }))
    assert.equal(lasts(taken.reply), 7_200)
    assert.match((await sts(assume(arn, { DurationSeconds: '7201' }))).message, /exceeds the MaxSessionDuration/)
    await session(assume(arn, { DurationSeconds: '3600' }), taken)
    assert.match((await sts(assume(arn, { DurationSeconds: '3601' }), taken)).message, /role chaining/)
  })

  test('refuses what is malformed or not offered, and the account itself', async () => {
    const arn = `arn:aws:iam::${ACCOUNT}:role/any`
    const rows: readonly (readonly [Record<string, string>, RegExp])[] = [
      [{ Action: 'AssumeRole', RoleSessionName: 'x2' }, /Value null at &apos;roleArn&apos;/],
      [{ Action: 'AssumeRole', RoleArn: arn }, /Value null at &apos;roleSessionName&apos;/],
      [assume('any'), /at &apos;roleArn&apos; failed to satisfy constraint/],
      [assume(arn, { RoleSessionName: 'a b' }), /at &apos;roleSessionName&apos;/],
      [assume(arn, { ExternalId: '!' }), /at &apos;externalId&apos;/],
      [assume(arn, { 'Tags.member.1.Key': 'a' }), /Tags is not supported/],
      [assume(arn, { 'PolicyArns.member.1.arn': 'a' }), /PolicyArns is not supported/],
    ]
    for (const [parameters, words] of rows) {
      const { status, code, message } = await sts(parameters)
      assert.deepEqual([status, code], [400, 'ValidationError'])
      assert.match(message, words)
    }
    const root = await sts(assume(arn), await rootKeyOf(api, '444444444444'))
    assert.deepEqual([root.code, root.message], ['AccessDenied', 'Roles may not be assumed by root accounts.'])
  })
})

describe('a session token', () => {
  test('fits its own key only, unchanged, and signed', async () => {
    const [one, two] = [await session({ Action: 'GetSessionToken' }), await session({ Action: 'GetSessionToken' })]
    const token = one.headers['x-amz-security-token']
    const changed = `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`
    for (const as of [
      { ...one, headers: {} },
      { ...one, headers: two.headers },
      { ...two, headers: one.headers },
      { ...one, headers: { 'x-amz-security-token': changed } },
      { ...one, headers: { 'x-amz-security-token': 'none' } },
      { ...TEST, headers: one.headers },
    ]) {
      assert.equal((await refusal(as)).code, INVALID)
    }
    assert.equal((await refusal({ ...one, secret: two.secret })).code, 'InvalidSignatureException')
    assert.equal((await refusal({ ...one, unsigned: ['x-amz-security-token'] })).code, 'InvalidSignatureException')
  })

  test('is good in another region of the fleet, which was told nothing, and in no other fleet', async () => {
    const temporary = await session({ Action: 'GetSessionToken' })
    const token = temporary.headers['x-amz-security-token']
    assert.ok(TEST_IDENTITY_KEY.openSession(token, temporary.accessKeyId))
    const stranger = identityKey(Buffer.alloc(32, 1))
    assert.equal(stranger.openSession(token, temporary.accessKeyId), undefined)
    assert.ok(!Buffer.from(token, 'base64url').toString('latin1').includes(ACCOUNT), 'a token is sealed')
    const elsewhere = await testApi({ region: 'eu-west-1', zones: ['eu-west-1a'], realClock: () => clock })
    try {
      await elsewhere.ask('DescribeClusters', {}, { ...temporary, region: 'eu-west-1' })
    } finally {
      await elsewhere.close()
    }
  })

  test('loses what its user or role loses, and ends with it', async () => {
    const user = await userWith(api, { name: 'leaving', statements: EVERYTHING })
    const ofUser = await session({ Action: 'GetSessionToken' }, user)
    await changeDirectoryOf(api, (all) => deletePolicy(all, { account: ACCOUNT, user: 'leaving' }, 'test'))
    assert.equal((await refusal(ofUser)).code, 'AccessDeniedException')
    await changeDirectoryOf(api, (all) => deleteUser(all, ACCOUNT, 'leaving'))
    assert.equal((await refusal(ofUser)).code, INVALID)
    const arn = await roleWith(api, { name: 'brief', trusts: { AWS: ACCOUNT }, statements: EVERYTHING })
    const ofRole = await session(assume(arn))
    await changeDirectoryOf(api, (all) => deleteRole(all, ACCOUNT, 'brief'))
    assert.equal((await refusal(ofRole)).code, INVALID)
    // One that is made again under the name is another.
    const trust = document([{ Effect: 'Allow', Principal: { AWS: ACCOUNT }, Action: 'sts:AssumeRole' }])
    const again = { name: 'brief', trust, maxSessionSeconds: 3_600, tags: {} }
    await changeDirectoryOf(api, (all) => createRole(all, ACCOUNT, again, new Date()))
    assert.equal((await refusal(ofRole)).code, INVALID)
  })

  test('can be told apart in policies: sessions of before a moment are shut out', async () => {
    const issued = new Date(clock.getTime() + 1_000).toISOString()
    const Condition = { DateLessThan: { 'aws:TokenIssueTime': issued } }
    const statements = [...EVERYTHING, { ...EVERYTHING[0], Effect: 'Deny', Condition }]
    const user = await userWith(api, { statements })
    await api.ask('DescribeClusters', {}, { ...user, at: clock })
    assert.equal((await refusal(await session({ Action: 'GetSessionToken' }, user))).code, 'AccessDeniedException')
  })
})
