/** Sizes that a client may ask for, and the words in which others are refused: the rule, and the standard it is from. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { before, test } from 'node:test'
import { startInProcess, type InProcessSession } from './testing/in-process.ts'

const attributes = { token: false } as const
const one = { requireTwoCopies: false } as const

let alice: InProcessSession
before(async () => {
  alice = (await startInProcess()).as('alice')
})

const rsa = (modulusBits: number, publicExponent: number) =>
  alice.call('key-generate-rsa', {
    modulusBits,
    publicExponent,
    publicAttributes: attributes,
    privateAttributes: attributes,
    ...one,
  })

for (const [bits, exponent] of [
  [2048, 65_537],
  [2304, 65_539],
  [4096, 65_537],
] as const) {
  test(`an RSA pair of ${bits} bits with the exponent ${exponent} is made`, async () => {
    const { publicKey, privateKey } = await rsa(bits, exponent)
    for (const { attributes: said } of [publicKey, privateKey]) {
      assert.equal(said['modulus-size-bits'], bits)
      assert.equal(BigInt(said['public-exponent'] ?? ''), BigInt(exponent))
      // The first bit is set.
      assert.match(said.modulus ?? '', new RegExp(`^0x[89a-f][0-9a-f]{${bits / 4 - 1}}$`))
    }
  })
}

const MODULUS = 'an RSA modulus has 2048 to 4096 bits in steps of 256 (FIPS 186-5 section 5.1; AWS CloudHSM user guide)'
for (const bits of [0, -2048, 512, 1024, 1792, 2047, 2049, 2050, 2176, 4095, 4097, 4352, 8192, 2048.5]) {
  test(`an RSA pair of ${bits} bits is refused, and the refusal says which rule and which standard`, async () => {
    await assert.rejects(rsa(bits, 65_537), { code: 'InvalidRequest', message: `modulusBits: not ${bits}: ${MODULUS}` })
  })
}

const EXPONENT =
  'an RSA public exponent is odd, at least 65537 and below 2^256 (FIPS 186-5 section 5.4; AWS CloudHSM user guide)'
for (const exponent of [-65_537, 0, 1, 3, 17, 65_535, 65_536, 65_538, 65_537.5]) {
  test(`an RSA pair with the public exponent ${exponent} is refused by FIPS 186-5`, async () => {
    await assert.rejects(rsa(2048, exponent), { code: 'InvalidRequest', message: `publicExponent: ${EXPONENT}` })
  })
}

test('a longer public exponent than OpenSSL makes pairs with is refused, and the refusal says that it may be imported', async () => {
  await assert.rejects(rsa(2048, 2 ** 32 + 1), {
    code: 'InvalidRequest',
    message: /^publicExponent: .*below 2\^32; FIPS 186-5 section 5\.4 allows.*imported$/,
  })
})

test('what is no number at all is refused too', async () => {
  for (const wrong of ['2048', null, Number.NaN]) {
    await assert.rejects(rsa(wrong as never, 65_537), { code: 'InvalidRequest', message: /^modulusBits: / })
  }
})

const importSecret = (type: 'aes' | 'des3' | 'generic-secret', bytes: number) =>
  alice.call('key-import', { class: 'secret-key', type, key: Buffer.alloc(bytes, 1), attributes, ...one })
const AES = 'a key of type aes has 16, 24 or 32 bytes (FIPS 197 section 5)'
const GENERIC =
  'a key of type generic-secret has 1 to 800 bytes (AWS CloudHSM user guide, Generate a generic secret with CloudHSM CLI)'
const DES3 = 'a key of type des3 has 24 bytes (NIST SP 800-67 rev. 2 section 3)'

test('AES keys of 16, 24 and 32 bytes are made and brought in; others are refused by FIPS 197', async () => {
  const aes = (lengthBytes: number) =>
    alice.call('key-generate-aes', { lengthBytes: lengthBytes as 16, attributes, ...one })
  for (const length of [16, 24, 32]) {
    for (const { key } of [await aes(length), await importSecret('aes', length)]) {
      assert.equal(key.attributes['key-length-bytes'], length)
    }
  }
  for (const length of [0, 1, 8, 15, 17, 20, 31, 33, 64, 128, 256]) {
    await assert.rejects(aes(length), { code: 'InvalidRequest', message: `lengthBytes: not ${length}: ${AES}` })
    if (length === 0) continue
    await assert.rejects(importSecret('aes', length), { code: 'MechanismInvalid', message: `not ${length}: ${AES}` })
  }
})

test('generic secrets of 1 to 800 bytes are made and brought in; others are refused', async () => {
  const generic = (lengthBytes: number) =>
    alice.call('key-generate-generic-secret', { lengthBytes, attributes, ...one })
  for (const length of [1, 17, 800]) {
    for (const { key } of [await generic(length), await importSecret('generic-secret', length)]) {
      assert.equal(key.attributes['key-length-bytes'], length)
    }
  }
  for (const length of [-1, 0, 801, 1.5]) {
    await assert.rejects(generic(length), { code: 'InvalidRequest', message: `lengthBytes: not ${length}: ${GENERIC}` })
  }
  const tooLong = { code: 'MechanismInvalid', message: `not 801: ${GENERIC}` }
  await assert.rejects(importSecret('generic-secret', 801), tooLong)
})

test('a 3DES key that is brought in has 24 bytes', async () => {
  assert.equal((await importSecret('des3', 24)).key.attributes['key-length-bytes'], 24)
  for (const length of [8, 16, 23, 25]) {
    await assert.rejects(importSecret('des3', length), { code: 'MechanismInvalid', message: `not ${length}: ${DES3}` })
  }
})

test('RSA keys that are brought in are held to the same rules as those that are made', async () => {
  const bringIn = (modulusLength: number, publicExponent: number) => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent })
    const key = publicKey.export({ type: 'spki', format: 'der' })
    return alice.call('key-import', { class: 'public-key', type: 'rsa', key, attributes, ...one })
  }
  await bringIn(2048, 65_537)
  for (const bits of [1024, 2056]) {
    await assert.rejects(bringIn(bits, 65_537), { code: 'MechanismInvalid', message: `not ${bits}: ${MODULUS}` })
  }
  await assert.rejects(bringIn(2048, 3), { code: 'MechanismInvalid', message: EXPONENT })
})

test('a derived key is neither too short nor too long, nor of a size that its type does not have', async () => {
  const { key } = await alice.call('key-generate-generic-secret', {
    lengthBytes: 32,
    attributes: { token: false, sign: false, verify: false, derive: true },
    ...one,
  })
  const derive = (type: 'aes' | 'generic-secret', lengthBytes: number) =>
    alice.call('key-derive', {
      handle: key.handle,
      mechanism: { name: 'sp800-108-counter', prf: 'hmac-sha256', data: [{ field: 'counter', bits: 32 }] },
      type,
      lengthBytes,
      attributes,
      ...one,
    })
  for (const length of [14, 800]) {
    assert.equal((await derive('generic-secret', length)).key.attributes['key-length-bytes'], length)
  }
  for (const length of [0, 13, 801]) {
    await assert.rejects(derive('generic-secret', length), {
      code: 'InvalidRequest',
      message:
        /^lengthBytes: not \d+: a derived key has 14 \(112 bits, NIST SP 800-131A.*\) to 800 bytes \(AWS CloudHSM/,
    })
  }
  await assert.rejects(derive('aes', 20), { code: 'MechanismInvalid', message: `not 20: ${AES}` })
})
