/** Examples printed in the standards, and the padding schemes that have no vectors of their own. */
import assert from 'node:assert/strict'
import { createHash, createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { HASHES } from '../protocol/mechanisms.ts'
import { cipherStream, runCipher } from './block-cipher.ts'
import { CURVE } from './curves.ts'
import { requireData, DATA_CAPS } from './data-caps.ts'
import { deriveMaterial, x963, type DeriveParams } from './derive.ts'
import { generateEc } from './ec.ts'
import { signByLibrary, signDigest, verifyByLibrary, verifyDigest } from './ecdsa-digest.ts'
import * as ph from './ed25519ph.ts'
import { importMaterial } from './import.ts'
import { unwrapWithAes, wrapWithAes } from './key-wrap.ts'
import { macStream } from './mac.ts'
import { generateMlDsa, mlDsa } from './ml-dsa.ts'
import { generateRsa } from './rsa.ts'
import { rsaDecrypt, rsaEncrypt } from './rsa-encryption.ts'
import { generateSecret } from './secret-keys.ts'
import { usable, usablePair } from './testing/keys.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const PLACE = { mode: 'NON_FIPS', hsmType: 'hsm2m.medium' } as const

for (const [what, kek, key, wrapped] of [
  [
    '4.1',
    '000102030405060708090A0B0C0D0E0F',
    '00112233445566778899AABBCCDDEEFF',
    '1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5',
  ],
  [
    '4.3',
    '000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F',
    '00112233445566778899AABBCCDDEEFF',
    '64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7',
  ],
  [
    '4.6',
    '000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F',
    '00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F',
    '28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21',
  ],
] as const) {
  test(`RFC 3394 section ${what}, which SP 800-38F section 6.2 takes over`, () => {
    const object = createSecretKey(hex(kek))
    assert.deepEqual(wrapWithAes('aes-no-pad', object, hex(key)), hex(wrapped))
    assert.deepEqual(unwrapWithAes('aes-no-pad', object, hex(wrapped)), hex(key))
  })
}

for (const [key, wrapped] of [
  ['c37b7e6492584340bed12207808941155068f738', '138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a'],
  ['466f7250617369', 'afbeb0f07dfbf5419200f2ccb50bb24f'],
] as const) {
  test(`RFC 5649 section 6, a key of ${key.length / 2} bytes`, () => {
    const object = createSecretKey(hex('5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8'))
    assert.deepEqual(wrapWithAes('aes-zero-pad', object, hex(key)), hex(wrapped))
    assert.deepEqual(unwrapWithAes('aes-zero-pad', object, hex(wrapped)), hex(key))
  })
}

test('PKCS#5 padding before RFC 3394 fits keys of any length, and a broken one is refused', () => {
  const kek = createSecretKey(Buffer.alloc(32, 7))
  for (let length = 1; length <= 48; length++) {
    const key = Buffer.alloc(length, length)
    const wrapped = wrapWithAes('aes-pkcs5-pad', kek, key)
    assert.deepEqual(unwrapWithAes('aes-pkcs5-pad', kek, wrapped), key)
    assert.equal(wrapped.length, Math.max(24, 16 + 8 * Math.floor(length / 8)))
  }
  // Wrapped without padding, the last byte is not a padding.
  const bare = wrapWithAes('aes-no-pad', kek, Buffer.alloc(16, 0xff))
  assert.throws(() => unwrapWithAes('aes-pkcs5-pad', kek, bare), { code: 'DecryptionFailed' })
  const altered = wrapWithAes('aes-pkcs5-pad', kek, Buffer.alloc(16, 1))
  altered.writeUInt8(altered.readUInt8(5) ^ 1, 5)
  assert.throws(() => unwrapWithAes('aes-pkcs5-pad', kek, altered), { code: 'DecryptionFailed' })
})

test('a key that is no multiple of 8 bytes is not wrapped without padding, and the refusal says so', () => {
  const kek = createSecretKey(Buffer.alloc(16))
  for (const length of [1, 8, 15, 17]) {
    assert.throws(() => wrapWithAes('aes-no-pad', kek, Buffer.alloc(length)), {
      code: 'InvalidRequest',
      message: /RFC 3394/,
    })
  }
})

for (const [length, mac] of [
  [0, 'bb1d6929e95937287fa37d129b756746'],
  [16, '070a16b46b4d4144f79bdd9dd04a287c'],
  [40, 'dfa66747de9ae63030ca32611497c827'],
  [64, '51f0bebf7e3b9d92fc49741779363cfe'],
] as const) {
  test(`SP 800-38B appendix D.1, AES-128 and ${length} bytes, whole and in parts`, () => {
    const key = createSecretKey(hex('2b7e151628aed2a6abf7158809cf4f3c'))
    const message = hex(
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
        '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
    ).subarray(0, length)
    for (const step of [1, 7, 64]) {
      const stream = macStream({ name: 'aes-cmac' }, key)
      for (let at = 0; at < length; at += step) stream.update(message.subarray(at, at + step))
      assert.deepEqual(stream.finish(), hex(mac))
    }
  })
}

test('SP 800-38A appendix F: AES-128 in ECB, CBC and CTR mode, whole and in parts', () => {
  const key = usable(
    importMaterial({ class: 'secret-key', type: 'aes', ...PLACE }, hex('2b7e151628aed2a6abf7158809cf4f3c')),
  )
  const plain = hex('6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51')
  const iv = hex('000102030405060708090a0b0c0d0e0f')
  const counter = hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff')
  for (const [params, expected] of [
    [{ name: 'aes-ecb' }, '3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf'],
    [{ name: 'aes-cbc', iv }, '7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2'],
    [
      { name: 'aes-ctr', iv: counter, counterBits: 128 },
      '874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff',
    ],
  ] as const) {
    assert.deepEqual(runCipher('encrypt', params, key, plain), hex(expected))
    assert.deepEqual(runCipher('decrypt', params, key, hex(expected)), plain)
    const stream = cipherStream('encrypt', params, key)
    const parts = [plain.subarray(0, 5), plain.subarray(5, 6), plain.subarray(6)].map((part) => stream.update(part))
    assert.deepEqual(Buffer.concat([...parts, stream.finish()]), hex(expected))
  }
})

test('a counter that runs over, and blocks that are not whole, are refused', () => {
  const key = usable(generateSecret('aes', 16))
  const iv = Buffer.alloc(16, 0xff)
  assert.equal(runCipher('encrypt', { name: 'aes-ctr', iv, counterBits: 8 }, key, Buffer.alloc(16)).length, 16)
  assert.throws(() => runCipher('encrypt', { name: 'aes-ctr', iv, counterBits: 8 }, key, Buffer.alloc(17)), {
    code: 'LimitExceeded',
    message: /runs over/,
  })
  assert.throws(() => runCipher('encrypt', { name: 'aes-ecb' }, key, Buffer.alloc(15)), { code: 'InvalidRequest' })
  const des = usable(generateSecret('des3', 24))
  assert.throws(() => runCipher('decrypt', { name: 'des3-cbc', iv: Buffer.alloc(8) }, des, Buffer.alloc(9)), {
    code: 'InvalidRequest',
  })
})

test('3DES encrypts the example of SP 800-67 appendix B', () => {
  const material = importMaterial(
    { class: 'secret-key', type: 'des3', ...PLACE },
    hex('0123456789abcdef 23456789abcdef01 456789abcdef0123'),
  )
  const plain = Buffer.from('The qufck brown fox jump')
  const expected = hex('a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900')
  assert.deepEqual(runCipher('encrypt', { name: 'des3-ecb' }, usable(material), plain), expected)
})

test('a new 3DES key has odd parity in every byte', () => {
  const bytes = generateSecret('des3', 24).bytes
  for (const byte of bytes) assert.equal(byte.toString(2).replaceAll('0', '').length % 2, 1)
})

/** NIST CAVP component test vectors, ANSI X9.63-2001 (ansx963_2001.rsp), the first of each hash and form. */
for (const [hash, shared, info, key] of [
  ['sha256', '96c05619d56c328ab95fe84b18264b08725b85e33fd34f08', '', '443024c3dae66b95e6f5670601558f71'],
  [
    'sha256',
    '22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d',
    '75eef81aa3041e33b80971203d2c0c52',
    'c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e52a13d9c7c6fc878c50c5ea0bc7b00e0da2447cfd874f6cf92f30d0097111485500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21',
  ],
] as const) {
  test(`X9.63 KDF with ${hash}, ${key.length / 2} bytes, ${info === '' ? 'no' : 'with'} shared info`, () => {
    assert.deepEqual(x963(hash, hex(shared), hex(info), key.length / 2), hex(key))
  })
}

test('ECDH agrees from both sides, takes a bare point or one in DER, and refuses points that are not on the curve', async () => {
  const a = usablePair(await generateEc('secp521r1'))
  const b = usablePair(await generateEc('secp521r1'))
  const point = (key: typeof a.open) => key.object.export({ type: 'spki', format: 'der' }).subarray(-133)
  const derive = (key: typeof a.secret, publicKey: Uint8Array) =>
    deriveMaterial({ name: 'ecdh-x963', hash: 'sha512', publicKey }, { key, lengthBytes: 32, ...PLACE })
  const secret = derive(a.secret, point(b.open))
  assert.deepEqual(derive(b.secret, Buffer.concat([hex('048185'), point(a.open)])), secret)
  const off = Buffer.from(point(b.open))
  off.writeUInt8(off.readUInt8(132) ^ 1, 132)
  for (const bad of [off, off.subarray(1), Buffer.alloc(133), Buffer.from([0])]) {
    assert.throws(() => derive(a.secret, bad), { code: 'InvalidRequest' })
  }
})

/** NIST CAVP KBKDF vectors (KDFCTR_gen.rsp): counter before the fixed data. */
for (const [prf, rlen, key, fixed, expected] of [
  [
    'aes-cmac',
    8,
    'dff1e50ac0b69dc40f1051d46c2b069c',
    'c16e6e02c5a3dcc8d78b9ac1306877761310455b4e41469951d9e6c2245a064b33fd8c3b01203a7824485bf0a64060c4648b707d2607935699316ea5',
    '8be8f0869b3c0ba97b71863d1b9f7813',
  ],
] as const) {
  test(`SP 800-108 counter mode with ${prf}, a counter of ${rlen} bits`, () => {
    const base = usable(importMaterial({ class: 'secret-key', type: 'aes', ...PLACE }, hex(key)))
    const data = [
      { field: 'counter', bits: rlen },
      { field: 'bytes', value: hex(fixed) },
    ] as const
    const params: DeriveParams = { name: 'sp800-108-counter', prf, data: [...data] }
    assert.deepEqual(deriveMaterial(params, { key: base, lengthBytes: expected.length / 2, ...PLACE }), hex(expected))
  })
}

test('SP 800-108 counter mode is HMAC over counter, label, zero, context and length, block after block', () => {
  const base = usable(importMaterial({ class: 'secret-key', type: 'generic-secret', ...PLACE }, Buffer.alloc(33, 9)))
  const fixed = Buffer.from('label\0context')
  for (const hash of HASHES) {
    const data = [
      { field: 'counter', bits: 32 },
      { field: 'bytes', value: fixed },
      { field: 'length', bits: 32 },
    ] as const
    const params: DeriveParams = { name: 'sp800-108-counter', prf: `hmac-${hash}`, data: [...data] }
    const derived = deriveMaterial(params, { key: base, lengthBytes: 100, ...PLACE })
    const blocks = [1, 2, 3, 4, 5].map((n) => {
      const mac = macStream({ name: 'hmac', hash }, base.object)
      for (const part of [Buffer.from([0, 0, 0, n]), fixed, Buffer.from([0, 0, 3, 32])]) mac.update(part)
      return mac.finish()
    })
    assert.deepEqual(derived, Buffer.concat(blocks).subarray(0, 100))
  }
  const tooLong = {
    name: 'sp800-108-counter',
    prf: 'hmac-sha1',
    data: [
      { field: 'counter', bits: 8 },
      { field: 'length', bits: 8 },
    ],
  } as const
  assert.throws(
    () => deriveMaterial({ ...tooLong, data: [...tooLong.data] }, { key: base, lengthBytes: 32, ...PLACE }),
    { code: 'InvalidRequest', message: /does not fit 8 bits/ },
  )
})

test('Ed25519ph signs the example of RFC 8032 section 7.3, in OpenSSL and in the library', async () => {
  const seed = hex('833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42')
  const key = createPrivateKey({
    key: Buffer.concat([hex('302e020100300506032b657004220420'), seed]),
    format: 'der',
    type: 'pkcs8',
  })
  const digest = createHash('sha512').update('abc').digest()
  const expected = hex(
    '98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41' +
      '31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406',
  )
  assert.deepEqual(await ph.signEd25519ph(key, digest), expected)
  assert.deepEqual(Buffer.from(await ph.signByLibrary(key, digest)), expected)
  for (const verify of [ph.verifyEd25519ph, ph.verifyByLibrary]) {
    assert.equal(await verify(createPublicKey(key), digest, expected), true)
    assert.equal(await verify(createPublicKey(key), Buffer.alloc(64), expected), false)
    assert.equal(await verify(createPublicKey(key), digest, expected.subarray(1)), false)
  }
})

for (const [id, name] of [
  ['secp224r1', 'P-224'],
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
  ['secp256k1', 'secp256k1'],
] as const) {
  test(`${name}: OpenSSL and the library verify each other's signatures of digests, of every length`, async () => {
    const { privateKey, publicKey } = await generateEc(id)
    for (const hash of HASHES) {
      const digest = createHash(hash).update('m').digest()
      const native = await signDigest(name, privateKey.object, digest)
      assert.equal(native.length, 2 * CURVE[name].bytes)
      assert.equal(await verifyByLibrary(name, publicKey.object, digest, native), true)
      const library = await signByLibrary(name, privateKey.object, digest)
      assert.equal(await verifyDigest(name, publicKey.object, digest, library), true)
      assert.equal(await verifyDigest(name, publicKey.object, Buffer.alloc(digest.length, 1), library), false)
    }
    const zero = Buffer.alloc(2 * CURVE[name].bytes)
    assert.equal(await verifyDigest(name, publicKey.object, Buffer.alloc(32), zero), false)
  })
}

test('an external mu is the message representative of FIPS 204: it verifies as the message does', async () => {
  for (const set of ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] as const) {
    const { open, secret } = usablePair(await generateMlDsa(set))
    const message = Buffer.from('message')
    const context = Buffer.from('context')
    const shake = (...parts: Buffer[]) => {
      const hash = createHash('shake256', { outputLength: 64 })
      for (const part of parts) hash.update(part)
      return hash.digest()
    }
    const spki = open.object.export({ type: 'spki', format: 'der' })
    const tr = shake(spki.subarray(-open.attributes['key-length-bytes']))
    const mu = shake(tr, Buffer.from([0, context.length]), context, message)
    const external = { dataType: 'external-mu' } as const
    const raw = { dataType: 'raw', context } as const
    const signature = await mlDsa.sign(secret, external, mu, 'inline')
    assert.equal(await mlDsa.verify(open, raw, message, signature, 'inline'), true)
    assert.equal(await mlDsa.verify(open, { dataType: 'raw' }, message, signature, 'inline'), false)
    const usual = await mlDsa.sign(secret, raw, message, 'inline')
    assert.equal(await mlDsa.verify(open, external, mu, usual, 'inline'), true)
    assert.throws(() => mlDsa.check('sign', secret, external, mu.subarray(1), 'FIPS'), { code: 'InvalidRequest' })
    assert.throws(() => mlDsa.check('sign', secret, { ...external, context }, mu, 'FIPS'), { code: 'InvalidRequest' })
  }
})

test('RSA PKCS#1 v1.5 decryption is no oracle: every block of the right length has an answer, always the same', async () => {
  const { open, secret } = usablePair(await generateRsa(2048, 65537))
  const params = { name: 'rsa-pkcs' } as const
  const good = rsaEncrypt(open, params, Buffer.from('premaster'))
  assert.equal(rsaDecrypt(secret, params, good).toString(), 'premaster')
  // Blocks that break each rule of the padding, and one that is only too short a padding.
  const block = (...head: number[]) => Buffer.concat([Buffer.from(head), Buffer.alloc(256 - head.length, 0x11)])
  const blocks = [block(0, 1), block(1, 2), block(0, 2), block(0, 2, 1, 0, 1), block(0, 0), Buffer.alloc(256)]
  for (const plain of blocks) {
    if (plain[0] === 1) continue
    const bad = rsaEncrypt(open, { name: 'rsa-x509' }, plain)
    const answer = rsaDecrypt(secret, params, bad)
    assert.deepEqual(rsaDecrypt(secret, params, bad), answer)
  }
  for (const length of [0, 255, 257]) {
    assert.throws(() => rsaDecrypt(secret, params, Buffer.alloc(length)), { code: 'InvalidRequest' })
  }
})

test('the mask of OAEP may have a hash of its own, as in Java', async () => {
  const { open, secret } = usablePair(await generateRsa(2048, 65537))
  const params = { name: 'rsa-oaep', hash: 'sha256', mgf: 'sha1', label: Buffer.from('L') } as const
  const sealed = rsaEncrypt(open, params, Buffer.from('m'))
  assert.equal(rsaDecrypt(secret, params, sealed).toString(), 'm')
  assert.throws(() => rsaDecrypt(secret, { ...params, mgf: 'sha256' }, sealed), {
    code: 'DecryptionFailed',
    message: 'the data was not encrypted with this key and these parameters',
  })
  assert.throws(() => rsaEncrypt(open, params, Buffer.alloc(191)), { code: 'InvalidRequest', message: /at most 190/ })
})

test('each published cap is met to the byte', () => {
  for (const [name, cap] of Object.entries(DATA_CAPS)) {
    const mechanism = name as keyof typeof DATA_CAPS
    requireData(mechanism, Buffer.alloc(cap))
    assert.throws(() => requireData(mechanism, Buffer.alloc(cap + 1)), {
      code: 'LimitExceeded',
      message: new RegExp(`${cap}`),
    })
  }
})

test('keys from outside are looked at: size, structure, curve, and whether their halves belong together', () => {
  const refuses = (request: Parameters<typeof importMaterial>[0], bytes: Uint8Array, code: string) =>
    assert.throws(() => importMaterial(request, bytes), { code })
  const secretKey = { class: 'secret-key', ...PLACE } as const
  const privateKey = { class: 'private-key', ...PLACE } as const
  const publicKey = { class: 'public-key', ...PLACE } as const
  refuses({ ...secretKey, type: 'aes' }, Buffer.alloc(20), 'MechanismInvalid')
  refuses({ ...privateKey, type: 'aes' }, Buffer.alloc(16), 'InvalidRequest')
  refuses({ ...privateKey, type: 'rsa' }, Buffer.from('no key'), 'InvalidRequest')
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  refuses({ ...privateKey, type: 'rsa' }, small.privateKey.export({ type: 'pkcs8', format: 'der' }), 'MechanismInvalid')
  refuses({ ...publicKey, type: 'rsa' }, small.publicKey.export({ type: 'spki', format: 'der' }), 'MechanismInvalid')
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pkcs8 = p256.privateKey.export({ type: 'pkcs8', format: 'der' })
  const spki = p256.publicKey.export({ type: 'spki', format: 'der' })
  assert.equal(importMaterial({ ...privateKey, type: 'ec' }, pkcs8).attributes.curve, 'prime256v1')
  refuses({ ...privateKey, type: 'ec', curve: 'secp384r1' }, pkcs8, 'InvalidRequest')
  refuses({ ...privateKey, type: 'rsa' }, pkcs8, 'InvalidRequest')
  refuses({ ...privateKey, type: 'ec' }, Buffer.concat([pkcs8, Buffer.alloc(1)]), 'InvalidRequest')
  refuses({ ...publicKey, type: 'ec' }, Buffer.concat([spki, Buffer.alloc(1)]), 'InvalidRequest')
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
  const mixed = Buffer.concat([pkcs8.subarray(0, pkcs8.length - 64), other.subarray(-64)])
  refuses({ ...privateKey, type: 'ec' }, mixed, 'InvalidRequest')
  const brainpool = generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' })
  refuses({ ...publicKey, type: 'ec' }, brainpool.publicKey.export({ type: 'spki', format: 'der' }), 'MechanismInvalid')
  const explicit = generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' })
  refuses({ ...publicKey, type: 'ec' }, explicit.publicKey.export({ type: 'spki', format: 'der' }), 'MechanismInvalid')
  refuses(
    { ...privateKey, type: 'ec' },
    explicit.privateKey.export({ type: 'pkcs8', format: 'der' }),
    'MechanismInvalid',
  )
})
