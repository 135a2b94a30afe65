/** RSA keys from outside whose numbers are wrong, and a public key that is no point: refused, whatever OpenSSL takes. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type webcrypto } from 'node:crypto'
import { test } from 'node:test'
import { importMaterial } from './registry.ts'

const PLACE = { mode: 'FIPS', hsmType: 'hsm2m.medium' } as const
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const good = pair.privateKey.export({ format: 'jwk' })

function importPrivate(jwk: webcrypto.JsonWebKey) {
  const key = createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'der' })
  return importMaterial({ class: 'private-key', type: 'rsa', ...PLACE }, key)
}
function importPublic(jwk: webcrypto.JsonWebKey) {
  const key = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' })
  return importMaterial({ class: 'public-key', type: 'rsa', ...PLACE }, key)
}

const numberOf = (text = '') => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`)
const textOf = (value: bigint) => {
  const digits = value.toString(16)
  return Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex').toString('base64url')
}
const FIVE = textOf(5n)

test('the key as it is comes in, also with its primes in the other order', () => {
  assert.equal(importPrivate(good).attributes['modulus-size-bits'], 2048)
  const { p, q, dp, dq } = good
  const [first, second] = [numberOf(p), numberOf(q)]
  // The inverse of p modulo q, by Fermat.
  let inverse = 1n
  for (let base = first % second, rest = second - 2n; rest > 0n; rest >>= 1n) {
    if (rest & 1n) inverse = (inverse * base) % second
    base = (base * base) % second
  }
  importPrivate({ ...good, p: q ?? '', q: p ?? '', dp: dq ?? '', dq: dp ?? '', qi: textOf(inverse) })
  importPublic({ kty: 'RSA', n: good.n ?? '', e: good.e ?? '' })
})

const wrong: readonly (readonly [string, Partial<webcrypto.JsonWebKey>])[] = [
  ['dp', { dp: FIVE }],
  ['dq', { dq: FIVE }],
  ['qi', { qi: FIVE }],
  ['d, with the CRT part of the right one', { d: textOf(numberOf(good.d) + 2n) }],
  ['primes 1 and n', { p: textOf(1n), q: good.n ?? '', dp: textOf(0n), dq: textOf(0n), qi: textOf(0n) }],
]
for (const [what, change] of wrong) {
  test(`a private key with a wrong ${what} is refused`, () => {
    assert.throws(() => importPrivate({ ...good, ...change }), {
      code: 'InvalidRequest',
      message: /numbers of the private key do not belong together/,
    })
  })
}

test('a modulus that is even or has a small factor is refused', () => {
  const n = numberOf(good.n)
  for (const modulus of [n - 1n, n - (n % 751n)]) {
    assert.throws(() => importPublic({ kty: 'RSA', n: textOf(modulus), e: good.e ?? '' }), {
      code: 'InvalidRequest',
      message: /even or has a small factor/,
    })
  }
})

test('the point at infinity is no public key', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  // SEQUENCE, algorithm, BIT STRING of no unused bits and one byte.
  const algorithm = spki.subarray(2, 2 + 2 + (spki[3] ?? 0))
  const infinity = Buffer.concat([
    Buffer.from([0x30, algorithm.length + 4]),
    algorithm,
    Buffer.from([0x03, 0x02, 0x00, 0x00]),
  ])
  assert.throws(() => importMaterial({ class: 'public-key', type: 'ec', ...PLACE }, infinity), {
    code: 'InvalidRequest',
    message: /not a public key, or its point/,
  })
})
