import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { testApi, type TestApi } from '../testing/api.ts'
import { signed, type ToSign } from '../testing/signer.ts'

let api: TestApi
before(async () => {
  api = await testApi()
})
after(() => api.close())

async function ask(body: string, as: Partial<ToSign> = {}) {
  const headers = signed({
    host: new URL(api.url).host,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    service: 'sts',
    body,
    ...as,
  })
  const response = await fetch(api.url, { method: 'POST', headers, body })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

const WHO = 'Action=GetCallerIdentity&Version=2011-06-15'

test('tells account, principal and key in XML', async () => {
  const { status, type, text } = await ask(WHO)
  assert.equal(status, 200)
  assert.equal(type, 'text/xml')
  assert.match(text, /<GetCallerIdentityResponse xmlns="https:\/\/sts\.amazonaws\.com\/doc\/2011-06-15\/">/)
  assert.match(text, /<Arn>arn:aws:iam::000000000000:user\/test<\/Arn>/)
  assert.match(text, /<Account>000000000000<\/Account>/)
  assert.match(text, /<RequestId>[0-9a-f-]{36}<\/RequestId>/)
})

const REFUSALS: readonly (readonly [string, string, Partial<ToSign>, number, string])[] = [
  ['an unknown key', WHO, { accessKeyId: 'nobody' }, 403, 'InvalidClientTokenId'],
  ['a wrong secret', WHO, { secret: 'guess' }, 403, 'SignatureDoesNotMatch'],
  ['a signature for another service', WHO, { service: 'cloudhsm' }, 403, 'SignatureDoesNotMatch'],
  ['another action', 'Action=GetFederationToken', {}, 400, 'InvalidAction'],
  ['no action', '', {}, 400, 'InvalidAction'],
]
for (const [what, body, as, status, code] of REFUSALS) {
  test(`refuses ${what} with the codes of the Query protocol`, async () => {
    const refusal = await ask(body, as)
    assert.equal(refusal.status, status)
    assert.match(refusal.text, new RegExp(`<Type>Sender</Type>\\s*<Code>${code}</Code>`))
  })
}

test('an unsigned form is refused, and text is escaped', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const bare = await fetch(api.url, { method: 'POST', headers, body: WHO })
  assert.equal(bare.status, 403)
  assert.match(await bare.text(), /<Code>MissingAuthenticationToken<\/Code>/)
  const odd = await ask(WHO, { region: '<&>' })
  assert.match(odd.text, /not &apos;&lt;&amp;&gt;&apos;/)
})
