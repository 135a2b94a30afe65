/**
 * What can be seen of a pair that is made as FIPS 186-4 B.3.6 says. That p - 1 and p + 1 have large prime factors cannot
 * be: whoever could find them could break keys. What tells that method from OpenSSL's other one is the private exponent:
 * only here is it the smallest, by the least common multiple.
 */
import assert from 'node:assert/strict'
import { sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { startInProcess } from '../client-port/testing/in-process.ts'
import { usablePair } from './testing/keys.ts'
import { generateRsa } from './rsa.ts'

const numberOf = (text: string | undefined) => BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex')}`)
const bitsOf = (value: bigint) => value.toString(2).length

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b)
}

for (const [bits, exponent] of [
  [2048, 65_537],
  [2048, 65_539],
  [2048, 0xffff_ffff],
  [2304, 65_537],
  [3072, 65_537],
] as const) {
  test(`a pair of ${bits} bits with the exponent ${exponent} meets FIPS 186-4 B.3.1 and B.3.6`, async () => {
    const { open, secret } = usablePair(await generateRsa(bits, exponent))
    const jwk = secret.object.export({ format: 'jwk' })
    const [n, e, d, p, q] = [jwk.n, jwk.e, jwk.d, jwk.p, jwk.q].map(numberOf) as [
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
    ]
    const half = BigInt(bits / 2)
    assert.equal(p * q, n)
    assert.deepEqual([bitsOf(n), bitsOf(p), bitsOf(q), e], [bits, bits / 2, bits / 2, BigInt(exponent)])
    // At least sqrt(2) * 2^(nlen/2 - 1).
    for (const prime of [p, q]) assert.ok(prime * prime >= 1n << (2n * half - 1n))
    assert.ok((p > q ? p - q : q - p) > 1n << (half - 100n), 'p and q are too near each other')
    for (const prime of [p, q]) assert.equal(gcd(prime - 1n, e), 1n)
    const lcm = ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n)
    assert.ok(d > 1n << half && d < lcm, 'the private exponent is too short, or not by the least common multiple')
    assert.equal((d * e) % lcm, 1n)
    const message = Buffer.from('pay 100 EUR')
    assert.ok(verify('sha256', message, open.object, sign('sha256', message, secret.object)))
  })
}

for (const place of [
  { mode: 'FIPS', hsmType: 'hsm1.medium' },
  { mode: 'FIPS', hsmType: 'hsm2m.medium' },
  { mode: 'NON_FIPS', hsmType: 'hsm2m.medium' },
] as const) {
  test(`a client asks for a pair by X9.31 on ${place.hsmType} in ${place.mode} mode, signs and verifies`, async () => {
    const alice = (await startInProcess(place)).as('alice')
    const { publicKey, privateKey } = await alice.call('key-generate-rsa', {
      modulusBits: 2048,
      publicExponent: 65_537,
      mechanism: 'rsa-x9-31',
      publicAttributes: { token: false, verify: true },
      privateAttributes: { token: false, sign: true },
      requireTwoCopies: false,
    })
    assert.deepEqual([privateKey.attributes['key-type'], privateKey.attributes.local], ['rsa', true])
    const request = {
      mechanism: { name: 'rsa-pkcs', hash: 'sha256', dataType: 'raw' },
      data: Buffer.from('pay 100 EUR'),
      requireTwoCopies: false,
    } as const
    const { signature } = await alice.call('sign', { handle: privateKey.handle, ...request })
    assert.deepEqual(await alice.call('verify', { handle: publicKey.handle, ...request, signature }), { valid: true })
  })
}
