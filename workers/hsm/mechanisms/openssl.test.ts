/** OpenSSL's own functions against node:crypto: the same signatures, and contexts that stand being used again. */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { settled } from '../later.ts'
import { HASHES, type HashName } from '../protocol/mechanisms.ts'
import { fixedWidth } from './ecdsa-signature.ts'
import { openssl, type OpenSsl } from './openssl.ts'

test('OpenSSL is reached through node:ffi in the Node that the package brings', () => {
  assert.ok(openssl())
})

test('RSA PKCS#1 v1.5 signatures of every hash are byte by byte those of node:crypto, time after time', () => {
  for (const modulusLength of [2048, 4096]) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength })
    for (const hash of HASHES) {
      for (const message of ['first', 'second']) {
        const digest = createHash(hash).update(message).digest()
        const signature = functions().sign(`RSA-PKCS1 ${hash}`, privateKey, digest)
        assert.deepEqual(signature, sign(hash, Buffer.from(message), privateKey))
        const ofMessage = signedNow(privateKey, hash, Buffer.from(message))
        assert.deepEqual(ofMessage, signature)
      }
    }
  }
})

test('ECDSA signatures made one after another verify, as r||s too, and no two are alike', () => {
  for (const namedCurve of ['P-256', 'P-521']) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve })
    const publicKey = createPublicKey(privateKey)
    const width = namedCurve === 'P-256' ? 32 : 66
    const message = Buffer.from('message')
    const digest = createHash('sha256').update(message).digest()
    const seen = new Set<string>()
    // One in 128 has an r or an s that is shorter than its curve.
    for (let i = 0; i < 500; i += 1) {
      const der = functions().sign('ECDSA', privateKey, digest)
      const signature = fixedWidth(der, width)
      assert.ok(verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature))
      seen.add(der.toString('hex'))
    }
    assert.equal(seen.size, 500)
  }
})

test('signatures that were prepared together are each of their own message, whichever is made first', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const messages = Array.from({ length: 40 }, (_, i) => Buffer.from(`message ${i}`))
  const prepared = messages.map((message) =>
    functions().signMessageLater('ECDSA', privateKey, 'sha256', message, (der) => Buffer.from(der)),
  )
  for (const { work } of prepared.toReversed()) work()
  for (const [i, { result }] of prepared.entries()) {
    assert.ok(verify('sha256', messages[i] ?? Buffer.alloc(0), publicKey, result()))
  }
})

test('a signature that was prepared keeps its key, whose OpenSSL counterpart would be freed with it', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const prepared = () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const later = functions().signMessageLater('ECDSA', privateKey, 'sha256', Buffer.from('m'), (der) => der.length)
    return { later: later.map((length) => length), key: new WeakRef(privateKey) }
  }
  const { later, key } = prepared()
  // A WeakRef holds its target until the job that made it is over.
  await setImmediate()
  collect()
  assert.ok(key.deref())
  await setImmediate()
  collect()
  assert.ok(settled(later) >= 64)
})

test('messages of any length are hashed as node:crypto hashes them', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  for (const bytes of [0, 1, 63, 64, 65, 2 * 1024 * 1024]) {
    const message = Buffer.alloc(bytes, 'm')
    const signature = signedNow(privateKey, 'sha512', message)
    assert.deepEqual(signature, sign('sha512', message, privateKey))
  }
})

test('a key signs on after a digest that it refused', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const digest = createHash('sha256').update('message').digest()
  assert.throws(() => functions().sign('RSA-PKCS1 sha256', privateKey, digest.subarray(1)), /does not sign/)
  assert.throws(() => functions().sign('RSA-PKCS1 sha256', privateKey, Buffer.alloc(65)), /65 bytes/)
  const signature = functions().sign('RSA-PKCS1 sha256', privateKey, digest)
  assert.deepEqual(signature, sign('sha256', Buffer.from('message'), privateKey))
  // Nothing of the failure is left where node:crypto would find it.
  assert.ok(verify('sha256', Buffer.from('message'), createPublicKey(privateKey), signature))
})

function signedNow(privateKey: KeyObject, hash: HashName, message: Buffer): Buffer {
  return settled(
    functions().signMessageLater(`RSA-PKCS1 ${hash}`, privateKey, hash, message, (made) => Buffer.from(made)),
  )
}

function functions(): OpenSsl {
  const found = openssl()
  assert.ok(found)
  return found
}
