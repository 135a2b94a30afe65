/** From keys of node:crypto to stored material with its computed attributes (data-plane reference §2.4). */
import { createCipheriv, createHash, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { ComputedAttributes } from '../vault/attributes.ts'
import type { KeyMaterial, KeyType, PairMaterial } from './mechanism.ts'

type TypeSpecific = Omit<ComputedAttributes, 'key-type' | 'check-value' | 'key-length-bytes'>

const hexadecimal = (bytes: Uint8Array) => `0x${Buffer.from(bytes).toString('hex')}`

/** Symmetric: the first three bytes of a zero block under the cipher. */
export function secretMaterial(bytes: Buffer): KeyMaterial {
  const object = createSecretKey(bytes)
  const cipher = createCipheriv(`aes-${bytes.length * 8}-ecb`, object, null).setAutoPadding(false)
  return {
    class: 'secret-key',
    bytes,
    object,
    attributes: {
      'key-type': 'aes',
      'check-value': hexadecimal(cipher.update(Buffer.alloc(16)).subarray(0, 3)),
      'key-length-bytes': bytes.length,
    },
  }
}

/**
 * Both halves of a pair. The check value is SHA-1 over the SubjectPublicKeyInfo for either; `publicLength` is what
 * `key-length-bytes` of the public half says.
 */
export function pairMaterial(
  type: Extract<KeyType, 'rsa' | 'ec'>,
  privateKey: KeyObject,
  specific: (spki: Buffer, publicKey: KeyObject) => { attributes: TypeSpecific; publicLength: number },
): PairMaterial {
  const publicKey = createPublicKey(privateKey)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  const checkValue = hexadecimal(createHash('sha1').update(spki).digest().subarray(0, 3))
  const { attributes, publicLength } = specific(spki, publicKey)
  const shared = { 'key-type': type, 'check-value': checkValue, ...attributes }
  return {
    publicKey: {
      class: 'public-key',
      bytes: spki,
      object: publicKey,
      attributes: { ...shared, 'key-length-bytes': publicLength },
    },
    privateKey: {
      class: 'private-key',
      bytes: pkcs8,
      object: privateKey,
      attributes: { ...shared, 'key-length-bytes': pkcs8.length },
    },
  }
}

/** A big-endian number of a JSON Web Key as attributes print it. */
export function numberOfJwk(value: unknown): string {
  if (typeof value !== 'string') throw new Error('a JSON Web Key lacks a number')
  return hexadecimal(Buffer.from(value, 'base64url'))
}
