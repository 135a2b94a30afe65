import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '../identity/secret.ts'
import { canonicalRequest, signature, signingKey, stringToSign } from './sigv4.ts'

const EMPTY = hash('sha256', '', 'hex')
const SECRET = new Secret('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY')

interface Vector {
  readonly name: string
  readonly method?: string
  readonly target?: string
  readonly headers?: Readonly<Record<string, readonly string[]>>
  readonly body?: string
  readonly signature: string
}

/** From AWS's Signature Version 4 test suite (aws-sig-v4-test-suite, 2015-08-30). */
const VECTORS: readonly Vector[] = [
  { name: 'get-vanilla', signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31' },
  {
    name: 'normalize-path/get-slashes',
    target: '//',
    signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  },
  {
    name: 'normalize-path/get-relative',
    target: '/example/..',
    signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  },
  {
    name: 'get-vanilla-query-order-key-case',
    target: '/?Param2=value2&Param1=value1',
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
  {
    name: 'get-vanilla-utf8-query',
    target: '/?ሴ=bar',
    signature: '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
  },
  {
    name: 'get-unreserved',
    target: '/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
    signature: '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
  },
  { name: 'get-utf8', target: '/ሴ', signature: '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85' },
  {
    name: 'get-header-key-duplicate',
    headers: { 'my-header1': ['value2', 'value2', 'value1'] },
    signature: 'c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea',
  },
  {
    name: 'get-header-value-trim',
    headers: { 'my-header1': [' value1'], 'my-header2': [' "a   b   c"'] },
    signature: 'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  },
  {
    name: 'post-vanilla',
    method: 'POST',
    signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  },
  {
    name: 'post-x-www-form-urlencoded',
    method: 'POST',
    headers: { 'content-type': ['application/x-www-form-urlencoded'] },
    body: 'Param1=value1',
    signature: 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  },
]

for (const vector of VECTORS) {
  test(`gives the signature of AWS's vector ${vector.name}`, () => {
    const headers: Record<string, readonly string[]> = {
      host: ['example.amazonaws.com'],
      'x-amz-date': ['20150830T123600Z'],
      ...vector.headers,
    }
    const canonical = canonicalRequest({
      method: vector.method ?? 'GET',
      target: vector.target ?? '/',
      header: (name) => headers[name],
      signedHeaders: Object.keys(headers).toSorted(),
      bodyHash: vector.body === undefined ? EMPTY : hash('sha256', vector.body, 'hex'),
    })
    const scope = { date: '20150830', region: 'us-east-1', service: 'service' }
    const proof = signature(signingKey(SECRET, scope), stringToSign('20150830T123600Z', scope, canonical))
    assert.equal(proof.toString('hex'), vector.signature)
  })
}

test('derives the signing key of the example in the AWS General Reference', () => {
  const key = signingKey(SECRET, { date: '20150830', region: 'us-east-1', service: 'iam' })
  assert.equal(key.toString('hex'), 'c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9')
})

test('a parameter that cannot be decoded stands for itself', () => {
  const canonical = canonicalRequest({
    method: 'GET',
    target: '/?a=%zz&b',
    header: () => [],
    signedHeaders: [],
    bodyHash: EMPTY,
  })
  assert.equal(canonical.split('\n')[2], 'a=%25zz&b=')
})
