/**
 * Mechanisms that no file of published vectors covers, against values that are printed somewhere, or against the same
 * computed here another way: by numbers, by single blocks, by node:crypto.
 */
import assert from 'node:assert/strict'
import {
  createCipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  publicDecrypt,
  sign as cryptoSign,
  constants,
} from 'node:crypto'
import { before, test } from 'node:test'
import { settled } from '../later.ts'
import { HASHES, type HashName } from '../protocol/mechanisms.ts'
import { decrypt, deriveMaterial, encrypt, importMaterial, sign, verify, type SignatureParams } from './registry.ts'
import { secretMaterial } from './describe.ts'
import { x963, type DeriveParams } from './derive.ts'
import { DIGEST_INFO_PREFIX } from './digest.ts'
import { generateRsa } from './rsa.ts'
import { generateSecret } from './secret-keys.ts'
import { usable, usablePair, type UsablePair } from './testing/keys.ts'

const PLACE = { mode: 'NON_FIPS', hsmType: 'hsm2m.medium' } as const
const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const secretOf = (type: 'aes' | 'des3' | 'generic-secret', bytes: Uint8Array) =>
  usable(importMaterial({ class: 'secret-key', type, ...PLACE }, bytes))

let rsa: UsablePair
before(async () => {
  rsa = usablePair(await generateRsa(2048, 65_537))
})

const request = (data: Uint8Array) => ({ data, place: 'inline', ...PLACE }) as const
const signed = (params: SignatureParams, data: Uint8Array) =>
  settled(sign(params, { key: rsa.secret, ...request(data) }))
const verified = (params: SignatureParams, data: Uint8Array, signature: Uint8Array) =>
  verify(params, { key: rsa.open, ...request(data), signature })

const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`)
const bytesOf = (value: bigint) => hex(value.toString(16).padStart(512, '0'))

/** Square and multiply. */
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (let square = base % modulus, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

/** Of the pair: modulus and private exponent. */
function numbers() {
  const { n, d } = rsa.secret.object.export({ format: 'jwk' })
  return [n, d].map((text) => numberOf(Buffer.from(text ?? '', 'base64url'))) as [bigint, bigint]
}

for (const length of [1, 31, 255, 256]) {
  test(`an rsa-x509 signature of ${length} bytes is the number they are, to the private exponent`, async () => {
    const data = Buffer.alloc(length, 0x5a)
    const [n, d] = numbers()
    const signature = await signed({ name: 'rsa-x509' }, data)
    assert.deepEqual(Buffer.from(signature), bytesOf(power(numberOf(data), d, n)))
    assert.equal(await verified({ name: 'rsa-x509' }, data, signature), true)
    const other = Buffer.from(data)
    other.writeUInt8(0x5b, length - 1)
    assert.equal(await verified({ name: 'rsa-x509' }, other, signature), false)
    const bare = publicDecrypt({ key: rsa.open.object, padding: constants.RSA_NO_PADDING }, signature)
    assert.deepEqual(bare, Buffer.concat([Buffer.alloc(256 - length), data]))
  })
}

test('rsa-x509 signs no number that is not below the modulus, and nothing longer', () => {
  for (const data of [Buffer.alloc(256, 0xff), Buffer.alloc(257)]) {
    assert.throws(() => sign({ name: 'rsa-x509' }, { key: rsa.secret, ...request(data) }), { code: 'InvalidRequest' })
  }
})

for (const hash of HASHES) {
  test(`rsa-pkcs-unhashed of a DigestInfo is node:crypto's signature with ${hash}, and each verifies the other's`, async () => {
    const message = Buffer.from('pay 100 EUR')
    const digestInfo = Buffer.concat([DIGEST_INFO_PREFIX[hash], createHash(hash).update(message).digest()])
    const theirs = cryptoSign(hash, message, rsa.secret.object)
    assert.deepEqual(Buffer.from(await signed({ name: 'rsa-pkcs-unhashed' }, digestInfo)), theirs)
    assert.equal(await verified({ name: 'rsa-pkcs-unhashed' }, digestInfo, theirs), true)
    assert.equal(await verified({ name: 'rsa-pkcs-unhashed' }, digestInfo.subarray(1), theirs), false)
  })
}

for (const length of [0, 1, 20, 245]) {
  test(`rsa-pkcs-unhashed pads ${length} bytes as RFC 8017 section 9.2 says, by numbers`, async () => {
    const data = Buffer.alloc(length, 7)
    const [n, d] = numbers()
    const padding = Buffer.alloc(253 - length, 0xff)
    const block = Buffer.concat([Buffer.from([0, 1]), padding, Buffer.alloc(1), data])
    assert.deepEqual(
      Buffer.from(await signed({ name: 'rsa-pkcs-unhashed' }, data)),
      bytesOf(power(numberOf(block), d, n)),
    )
  })
}

/** CBC by its definition: each block is the cipher of itself and the ciphertext before it (NIST SP 800-38A §6.2). */
function chained(key: Uint8Array, iv: Buffer, plain: Buffer): Buffer {
  const blocks: Buffer[] = []
  for (let at = 0, before = iv; at < plain.length; at += 8) {
    const mixed = Buffer.from(before.map((byte, i) => byte ^ plain.readUInt8(at + i)))
    before = createCipheriv('des-ede3-ecb', key, null).setAutoPadding(false).update(mixed)
    blocks.push(before)
  }
  return Buffer.concat(blocks)
}

const DES3_KEY = hex('0123456789abcdef 23456789abcdef01 456789abcdef0123')
const DES3_IV = hex('f69f2445df4f9b17')

test('des3-cbc is 3DES of single blocks, chained by hand', () => {
  const key = secretOf('des3', DES3_KEY)
  const plain = hex('6bc1bee22e409f96 e93d7e117393172a ae2d8a571e03ac9c 9eb76fac45af8e51')
  const params = { name: 'des3-cbc', iv: DES3_IV } as const
  const { ciphertext } = encrypt(params, { key, data: plain, ...PLACE })
  assert.deepEqual(ciphertext, chained(DES3_KEY, DES3_IV, plain))
  assert.deepEqual(decrypt(params, { key, data: ciphertext, ...PLACE }), plain)
})

for (const length of [0, 1, 7, 8, 9, 24]) {
  test(`des3-cbc-pad fills up ${length} bytes as PKCS#7 says, chained by hand`, () => {
    const key = secretOf('des3', DES3_KEY)
    const plain = Buffer.alloc(length, 0x41)
    const more = 8 - (length % 8)
    const params = { name: 'des3-cbc-pad', iv: DES3_IV } as const
    const { ciphertext } = encrypt(params, { key, data: plain, ...PLACE })
    const padded = Buffer.concat([plain, Buffer.alloc(more, more)])
    assert.deepEqual(ciphertext, chained(DES3_KEY, DES3_IV, padded))
    assert.deepEqual(decrypt(params, { key, data: ciphertext, ...PLACE }), plain)
  })
}

test('a 3DES key’s check value: three times one key it is the published DES of a zero block (D5D44FF720683D0D)', () => {
  const { attributes } = secretMaterial('des3', Buffer.from('0123456789abcdef'.repeat(3), 'hex'))
  assert.equal(attributes['check-value'], '0xd5d44f')
  // Three keys: computed with `openssl enc -des-ede3 -nopad`.
  assert.equal(secretMaterial('des3', Buffer.from(DES3_KEY)).attributes['check-value'], '0x4eba73')
  const made = generateSecret('des3', 24)
  const block = createCipheriv('des-ede3-ecb', made.bytes, null).update(Buffer.alloc(8))
  assert.equal(made.attributes['check-value'], `0x${block.toString('hex', 0, 3)}`)
})

/** RFC 4231 §4.2, §4.3 and §4.4. */
for (const [key, data, code] of [
  [
    '0b'.repeat(20),
    Buffer.from('Hi There').toString('hex'),
    '896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22',
  ],
  [
    Buffer.from('Jefe').toString('hex'),
    Buffer.from('what do ya want for nothing?').toString('hex'),
    'a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44',
  ],
  ['aa'.repeat(20), 'dd'.repeat(50), '7fb3cb3588c6c1f6ffa9694d7d6ad2649365b0c1f65d69d1ec8333ea'],
] as const) {
  test(`HMAC-SHA224 of ${data.length / 2} bytes is that of RFC 4231`, async () => {
    const mac = secretOf('generic-secret', hex(key))
    const params = { name: 'hmac', hash: 'sha224' } as const
    const signature = await settled(sign(params, { key: mac, ...request(hex(data)) }))
    assert.deepEqual(Buffer.from(signature), hex(code))
    assert.equal(await verify(params, { key: mac, ...request(hex(data)), signature: hex(code) }), true)
  })
}

const bigEndian = (value: number, bits: number) => hex(value.toString(16).padStart(bits / 4, '0'))

for (const hash of HASHES) {
  for (const [counterBits, lengthBits] of [
    [8, 16],
    [16, 24],
    [24, 32],
    [32, 64],
  ] as const) {
    test(`SP 800-108 with HMAC-${hash}, a counter of ${counterBits} bits amid the data: by node:crypto`, () => {
      const secret = Buffer.from('a secret of 26 bytes, odd.')
      const [label, context] = [Buffer.from('label\0'), Buffer.from('context')]
      const data = [
        { field: 'bytes', value: label },
        { field: 'counter', bits: counterBits },
        { field: 'bytes', value: context },
        { field: 'length', bits: lengthBits },
      ] as const
      const params: DeriveParams = { name: 'sp800-108-counter', prf: `hmac-${hash}`, data: [...data] }
      const derived = deriveMaterial(params, { key: secretOf('generic-secret', secret), lengthBytes: 150, ...PLACE })
      const blocks = Array.from({ length: 8 }, (_, i) => {
        const fed = [label, bigEndian(i + 1, counterBits), context, bigEndian(1200, lengthBits)]
        return createHmac(hash, secret).update(Buffer.concat(fed)).digest()
      })
      assert.deepEqual(derived, Buffer.concat(blocks).subarray(0, 150))
    })
  }
}

/** SEC 1 §3.6.1. */
function kdf(hash: HashName, shared: Buffer, info: Buffer, length: number): Buffer {
  const blocks: Buffer[] = []
  for (let n = 1; Buffer.concat(blocks).length < length; n++) {
    blocks.push(
      createHash(hash)
        .update(Buffer.concat([shared, bigEndian(n, 32), info]))
        .digest(),
    )
  }
  return Buffer.concat(blocks).subarray(0, length)
}

for (const hash of HASHES) {
  test(`X9.63 with ${hash}, short and over several blocks, with shared info and without, and after ECDH`, () => {
    const shared = Buffer.from('shared secret of some bytes')
    for (const info of [Buffer.alloc(0), Buffer.from('info')]) {
      for (const length of [14, 20, 28, 32, 48, 64, 65, 200]) {
        assert.deepEqual(x963(hash, shared, info, length), kdf(hash, shared, info, length))
      }
    }
    const [mine, theirs] = [createECDH('prime256v1'), createECDH('prime256v1')]
    mine.generateKeys()
    theirs.generateKeys()
    const jwk = {
      kty: 'EC',
      crv: 'P-256',
      x: mine.getPublicKey().toString('base64url', 1, 33),
      y: mine.getPublicKey().toString('base64url', 33),
      d: mine.getPrivateKey().toString('base64url').padStart(43, 'A'),
    }
    const pkcs8 = createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'der' })
    const key = usable(importMaterial({ class: 'private-key', type: 'ec', ...PLACE }, pkcs8))
    const params = { name: 'ecdh-x963', hash, publicKey: theirs.getPublicKey(), sharedInfo: Buffer.from('i') } as const
    const derived = deriveMaterial(params, { key, lengthBytes: 100, ...PLACE })
    assert.deepEqual(derived, kdf(hash, theirs.computeSecret(mine.getPublicKey()), Buffer.from('i'), 100))
  })
}
