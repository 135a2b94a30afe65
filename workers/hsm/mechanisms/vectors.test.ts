/** Against what others published or compute: OpenSSL through node:crypto, and the openssl program. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  verify,
} from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { settled } from '../later.ts'
import { HASHES } from '../protocol/mechanisms.ts'
import { secretMaterial } from './describe.ts'
import { ecdsa, generateEc } from './ec.ts'
import { signDigest, verifyDigest } from './ecdsa-digest.ts'
import { encodePss, longestSalt, verifyPss } from './pss-encoding.ts'
import { decryptGcm } from './gcm.ts'
import { generateRsa, rsaPkcs, rsaPkcsPss } from './rsa.ts'
import { generateSecret } from './secret-keys.ts'

test('GCM decrypts test case 4 of the GCM specification and refuses it once altered', () => {
  const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
  const key = createSecretKey(hex('feffe9928665731c6d6a8f9467308308'))
  const params = {
    iv: hex('cafebabefacedbaddecaf888'),
    aad: hex('feedfacedeadbeeffeedfacedeadbeefabaddad2'),
    tagBits: 128,
  }
  const ciphertext = hex(
    '42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e' +
      '21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091' +
      '5bc94fbc3221a5db94fae95ae7121a47',
  )
  assert.equal(
    decryptGcm(key, params, ciphertext).toString('hex'),
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
      '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
  )
  ciphertext.writeUInt8(ciphertext.readUInt8(3) ^ 1, 3)
  assert.throws(() => decryptGcm(key, params, ciphertext), { code: 'DecryptionFailed' })
  assert.throws(() => decryptGcm(key, params, Buffer.alloc(15)), { code: 'InvalidRequest' })
})

test('the check value of an AES key is the start of a zero block under it (FIPS 197 key, computed by openssl)', () => {
  const bytes = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
  const args = ['enc', '-aes-128-ecb', '-nopad', '-K', bytes.toString('hex')]
  const expected = execFileSync('openssl', args, { input: Buffer.alloc(16) })
  const { attributes } = secretMaterial('aes', bytes)
  assert.equal(attributes['check-value'], `0x${expected.subarray(0, 3).toString('hex')}`)
  assert.equal(generateSecret('aes', 24).attributes['key-length-bytes'], 24)
})

test('a pair is described as AWS prints it', async () => {
  const rsa = await generateRsa(2048, 65537)
  const sha1 = createHash('sha1').update(rsa.publicKey.bytes).digest('hex')
  assert.deepEqual(
    { ...rsa.publicKey.attributes, modulus: '' },
    {
      'key-type': 'rsa',
      'check-value': `0x${sha1.slice(0, 6)}`,
      'key-length-bytes': 512,
      'public-exponent': '0x010001',
      modulus: '',
      'modulus-size-bits': 2048,
    },
  )
  assert.match(rsa.privateKey.attributes.modulus ?? '', /^0x[0-9a-f]{512}$/)
  assert.equal(rsa.privateKey.attributes['key-length-bytes'], rsa.privateKey.bytes.length)
  const ec = await generateEc('prime256v1')
  assert.match(ec.publicKey.attributes['ec-point'] ?? '', /^0x04[0-9a-f]{128}$/)
  assert.deepEqual([ec.publicKey.attributes['key-length-bytes'], ec.publicKey.attributes.curve], [65, 'prime256v1'])
})

/** Moduli whose encodings end on a byte boundary and not, and an exponent other than the usual. */
for (const [bits, exponent] of [
  [2048, 65537],
  [2304, 65539],
] as const) {
  test(`RSA-${bits}: digests sign as messages do, and every salt that fits works`, async () => {
    const { privateKey, publicKey } = await generateRsa(bits, exponent)
    const key = { type: 'rsa', class: 'private-key', object: privateKey.object, modulusBits: bits } as const
    const open = { type: 'rsa', class: 'public-key', object: publicKey.object, modulusBits: bits } as const
    const message = Buffer.from('message')
    for (const hash of HASHES) {
      const digest = createHash(hash).update(message).digest()
      const raw = await rsaPkcs.sign(key, { hash, dataType: 'raw' }, message, 'pool')
      assert.deepEqual(await rsaPkcs.sign(key, { hash, dataType: 'digest' }, digest, 'inline'), raw)
      for (const saltLength of [0, 20, longestSalt(bits, hash)]) {
        const params = { hash, mgf: hash, saltLength }
        const signature = await rsaPkcsPss.sign(key, { ...params, dataType: 'digest' }, digest, 'inline')
        assert.equal(await rsaPkcsPss.verify(open, { ...params, dataType: 'raw' }, message, signature, 'pool'), true)
        assert.equal(
          await rsaPkcsPss.verify(open, { ...params, dataType: 'digest' }, digest, signature, 'inline'),
          true,
        )
        const shorter = { ...params, saltLength: saltLength === 0 ? 1 : saltLength - 1, dataType: 'digest' } as const
        assert.equal(await rsaPkcsPss.verify(open, shorter, digest, signature, 'inline'), false)
      }
      const tooLong = { hash, mgf: hash, saltLength: longestSalt(bits, hash) + 1, dataType: 'raw' } as const
      assert.throws(() => rsaPkcsPss.check('sign', key, tooLong, message, 'FIPS'), { code: 'MechanismInvalid' })
    }
  })
}

test('PSS refuses another hash for the mask than for the message, and a digest of the wrong length', async () => {
  const { privateKey } = await generateRsa(2048, 65537)
  const key = { type: 'rsa', class: 'private-key', object: privateKey.object, modulusBits: 2048 } as const
  const params = { hash: 'sha256', mgf: 'sha1', saltLength: 20, dataType: 'raw' } as const
  assert.throws(() => rsaPkcsPss.check('sign', key, params, Buffer.alloc(1), 'FIPS'), { code: 'MechanismInvalid' })
  const digest = { hash: 'sha256', dataType: 'digest' } as const
  assert.throws(() => rsaPkcs.check('sign', key, digest, Buffer.alloc(31), 'FIPS'), { code: 'InvalidRequest' })
})

test('a PSS block with anything wrong in it is no encoding', () => {
  const params = { hash: 'sha256', saltLength: 20 } as const
  const digest = createHash('sha256').update('m').digest()
  const good = encodePss(digest, params, 2048)
  assert.equal(verifyPss(good, digest, params, 2048), true)
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good)
    bad.writeUInt8(bad.readUInt8(at) ^ 0x80, at)
    assert.equal(verifyPss(bad, digest, params, 2048), false, `byte ${at}`)
  }
  assert.equal(verifyPss(good.subarray(1), digest, params, 2048), false)
})

for (const [curve, name, size] of [
  ['prime256v1', 'P-256', 32],
  ['secp384r1', 'P-384', 48],
] as const) {
  test(`${name}: r and s keep their width whatever their leading zeros, for messages and digests`, async () => {
    const { privateKey, publicKey } = await generateEc(curve)
    const key = { type: 'ec', class: 'private-key', object: privateKey.object, curve: name } as const
    const params = { hash: 'sha384', dataType: 'raw' } as const
    const atOnce = (message: Buffer) => ecdsa.sign(key, params, message, 'inline')
    const putOff = (message: Buffer) => settled(ecdsa.signLater?.(key, params, message, 'inline')) ?? atOnce(message)
    for (const sign of [atOnce, putOff]) {
      // One signature in 128 has an r or an s that begins with a zero byte: until there were some, and 300 in any case.
      for (let i = 0, short = 0; i < 300 || short < 2; i++) {
        const message = Buffer.from(`message ${i}`)
        const signature = await sign(message)
        assert.equal(signature.length, 2 * size)
        if (signature[0] === 0 || signature[size] === 0) short += 1
        assert.ok(verify('sha384', message, { key: publicKey.object, dsaEncoding: 'ieee-p1363' }, signature))
      }
    }
    for (const hash of HASHES) {
      const digest = createHash(hash).update('m').digest()
      const signature = await signDigest(name, privateKey.object, digest)
      assert.ok(verify(hash, Buffer.from('m'), { key: publicKey.object, dsaEncoding: 'ieee-p1363' }, signature))
      assert.equal(await verifyDigest(name, publicKey.object, digest, signature), true)
      assert.equal(await verifyDigest(name, publicKey.object, Buffer.alloc(digest.length, 1), signature), false)
      assert.equal(await verifyDigest(name, publicKey.object, digest, signature.subarray(1)), false)
    }
  })
}

test('a digest signature by an EC key that was stored and read again is accepted by the openssl program', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ecdsa-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const stored = privateKey.export({ type: 'pkcs8', format: 'der' })
  const key = createPrivateKey({ key: stored, format: 'der', type: 'pkcs8' })
  const digest = createHash('sha256').update('pay 100 EUR').digest()
  const rs = Buffer.from(await signDigest('P-256', key, digest))
  const integer = (bytes: Buffer) => {
    const start = bytes.findIndex((byte) => byte !== 0)
    const padded = Buffer.concat([(bytes[start] ?? 0) > 127 ? Buffer.alloc(1) : Buffer.alloc(0), bytes.subarray(start)])
    return Buffer.concat([Buffer.from([2, padded.length]), padded])
  }
  const body = Buffer.concat([integer(rs.subarray(0, 32)), integer(rs.subarray(32))])
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(directory, name), content)
    return join(directory, name)
  }
  const signature = file('sig', Buffer.concat([Buffer.from([0x30, body.length]), body]))
  const publicKey = file('pub.pem', createPublicKey(key).export({ type: 'spki', format: 'pem' }))
  const args = [
    'pkeyutl',
    '-verify',
    '-pubin',
    '-inkey',
    publicKey,
    '-sigfile',
    signature,
    '-in',
    file('digest', digest),
  ]
  assert.match(execFileSync('openssl', args, { encoding: 'utf8' }), /Signature Verified Successfully/)
})
