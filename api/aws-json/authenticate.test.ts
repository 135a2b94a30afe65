import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ServiceError } from '../../provider-schema/errors.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { signed, type ToSign } from '../testing/signer.ts'
import { basicFormat } from './authenticate.ts'

let api: TestApi
let clock = new Date('2026-03-04T05:06:07Z')
before(async () => {
  api = await testApi({ realClock: () => clock })
})
after(() => api.close())

const AS = () => ({ at: clock })
const MINUTE = 60_000
const MISMATCH =
  /^The request signature we calculated does not match the signature you provided\. Check your AWS Secret Access Key/

/** A request whose headers were changed after they were signed; undefined removes one. */
async function send(
  change: (headers: Record<string, string>) => Record<string, string | undefined>,
  { body = '{}', as = {} }: { body?: string; as?: Partial<ToSign> } = {},
) {
  const host = new URL(api.url).host
  const headers = { 'x-amz-target': 'BaldrApiService.DescribeClusters', 'content-type': 'application/x-amz-json-1.1' }
  const all = signed({ host, body: '{}', at: clock, ...as, headers: { ...headers, ...as.headers } })
  const kept = Object.entries(change(all)).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const response = await fetch(api.url, { method: 'POST', headers: Object.fromEntries(kept), body })
  const answer = (await response.json()) as { __type?: string; Message?: string }
  return { status: response.status, code: answer.__type, message: answer.Message ?? '' }
}

test('a request that is signed right is answered', async () => {
  assert.equal((await send((headers) => headers)).status, 200)
})

test('a request without Authorization is told so', async () => {
  const { status, code, message } = await send((headers) => ({ ...headers, authorization: undefined }))
  assert.deepEqual(
    [status, code, message],
    [400, 'MissingAuthenticationTokenException', 'Missing Authentication Token'],
  )
})

const changed = (authorization: (was: string) => string) => (headers: Record<string, string>) => ({
  ...headers,
  authorization: authorization(headers['authorization'] ?? ''),
})

const INCOMPLETE: readonly (readonly [string, Parameters<typeof send>[0], RegExp])[] = [
  ['another scheme', changed(() => 'Basic dGVzdDp0ZXN0'), /must begin with 'AWS4-HMAC-SHA256'/],
  ['another algorithm', changed((was) => was.replace('AWS4-HMAC', 'AWS4-ECDSA-P256')), /must begin with/],
  [
    'no parameters',
    changed(() => 'AWS4-HMAC-SHA256 none'),
    /requires 'Credential' parameter.*'Signature' parameter.*'SignedHeaders'/,
  ],
  ['no signature', changed((was) => was.replace(/, Signature=.*/, '')), /^Authorization header requires 'Signature'/],
  ['a short signature', changed((was) => was.slice(0, -1)), /64 hexadecimal digits/],
  ['a short credential', changed((was) => was.replace('/aws4_request', '')), /exactly 5 slash-delimited elements/],
  ['a long credential', changed((was) => was.replace('/aws4_request', '/aws4_request/x')), /exactly 5/],
  ['no date', (headers) => ({ ...headers, 'x-amz-date': undefined }), /'X-Amz-Date' or a 'Date' header/],
  ['a date that is none', (headers) => ({ ...headers, 'x-amz-date': 'yesterday' }), /ISO-8601/],
  ['a date that cannot be', (headers) => ({ ...headers, 'x-amz-date': '20261399T999999Z' }), /ISO-8601/],
]
for (const [what, change, message] of INCOMPLETE) {
  test(`a request with ${what} is incomplete`, async () => {
    const refusal = await send(change)
    assert.equal(refusal.code, 'IncompleteSignatureException')
    assert.match(refusal.message, message)
    assert.equal(refusal.status, 400)
  })
}

test('a key that nobody holds, and a token that nobody issued, are unrecognised', async () => {
  for (const as of [{ accessKeyId: 'nobody' }, { headers: { 'x-amz-security-token': 'token' } }]) {
    const { code, message } = await send((headers) => headers, { as })
    assert.equal(code, 'UnrecognizedClientException')
    assert.equal(message, 'The security token included in the request is invalid.')
  }
})

test('a wrong secret, a changed body, target, header or signature do not match', async () => {
  const refusals = [
    await send((headers) => headers, { as: { secret: 'guess' } }),
    await send((headers) => headers, { body: '{ }' }),
    await send((headers) => ({ ...headers, 'x-amz-target': 'BaldrApiService.DescribeBackups' })),
    await send((headers) => ({ ...headers, 'content-type': 'application/json' })),
    await send(changed((was) => was.replace(/[0-9a-f]$/, (last) => (last === '0' ? '1' : '0')))),
    await send(changed((was) => was.replace('Credential=test/', 'Credential=other/'))),
  ]
  for (const { code, message } of refusals) {
    assert.equal(code, 'InvalidSignatureException')
    assert.match(message, MISMATCH)
  }
})

test('the body hash is computed, not believed', async () => {
  const forged = { headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }
  const unsigned = await send((headers) => headers, { as: forged })
  assert.equal(unsigned.code, 'InvalidSignatureException')
  assert.match(unsigned.message, /unsigned payload is not accepted/)
  const other = await send((headers) => headers, { as: { headers: { 'x-amz-content-sha256': '0'.repeat(64) } } })
  assert.match(other.message, /is not the SHA-256 of the body/)
})

test('host, date and everything of x-amz- must be signed', async () => {
  for (const name of ['host', 'x-amz-date', 'x-amz-target']) {
    const { code, message } = await send((headers) => headers, { as: { unsigned: [name] } })
    assert.equal(code, 'InvalidSignatureException')
    assert.equal(message, `'${name}' must be a 'SignedHeader' in the AWS Authorization.`)
  }
  const added = await send((headers) => ({ ...headers, 'x-amz-extra': '1' }))
  assert.equal(added.message, "'x-amz-extra' must be a 'SignedHeader' in the AWS Authorization.")
  const trace = await send((headers) => ({ ...headers, 'x-amzn-trace-id': 'Root=1' }))
  assert.equal(trace.status, 200, 'a proxy may add a trace id')
})

test('clocks may be five minutes apart, either way, and no more', async () => {
  const at = (ms: number) => send((headers) => headers, { as: { at: new Date(clock.getTime() + ms) } })
  assert.equal((await at(-5 * MINUTE)).status, 200)
  assert.equal((await at(5 * MINUTE)).status, 200)
  const old = await at(-5 * MINUTE - 1_000)
  assert.equal(old.code, 'InvalidSignatureException')
  assert.equal(
    old.message,
    'Signature expired: 20260304T050106Z is now earlier than 20260304T050107Z (20260304T050607Z - 5 min.)',
  )
  const early = await at(5 * MINUTE + 1_000)
  assert.equal(
    early.message,
    'Signature not yet current: 20260304T051108Z is still later than 20260304T051107Z (20260304T050607Z + 5 min.)',
  )
})

test('a signature that was good once is not good later', async () => {
  const headers = signed({
    host: new URL(api.url).host,
    headers: { 'x-amz-target': 'BaldrApiService.DescribeClusters' },
    body: '{}',
    ...AS(),
  })
  const replay = () => fetch(api.url, { method: 'POST', headers, body: '{}' })
  assert.equal((await replay()).status, 200)
  const before = clock
  clock = new Date(clock.getTime() + 6 * MINUTE)
  try {
    assert.equal((await replay()).status, 400)
  } finally {
    clock = before
  }
})

const SCOPES: readonly (readonly [string, Partial<ToSign>, RegExp])[] = [
  ['region', { region: 'eu-west-1' }, /valid region, not 'eu-west-1'/],
  ['service', { service: 'sts' }, /correct service: 'cloudhsm'/],
]
for (const [what, as, message] of SCOPES) {
  test(`a signature for another ${what} is refused`, async () => {
    const refusal = await send((headers) => headers, { as })
    assert.equal(refusal.code, 'InvalidSignatureException')
    assert.match(refusal.message, message)
  })
}

test('the date of the scope must be that of the request, and its end aws4_request', async () => {
  const day = await send(changed((was) => was.replace('/20260304/', '/20260303/')))
  assert.match(day.message, /^Date in Credential scope does not match.*'20260303' != '20260304'/)
  const end = await send(changed((was) => was.replace('aws4_request', 'aws5_request')))
  assert.match(end.message, /valid terminator: 'aws4_request'/)
})

test('times are written in basic format', () => {
  assert.equal(basicFormat(Date.UTC(2026, 0, 2, 3, 4, 5, 678)), '20260102T030405Z')
})

test('no secret is in any log line or refusal', () => {
  const everything = api.log.join('')
  assert.ok(everything.includes('InvalidSignatureException'))
  assert.doesNotMatch(everything, /Signature=|Credential=|AWS4-HMAC/)
  assert.ok(!new ServiceError('InvalidSignatureException', 'x').message.includes('test'))
})
