/** From keys of node:crypto to stored material with its computed attributes (data-plane reference §2.4). */
import { createCipheriv, createHash, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { ComputedAttributes } from '../vault/attributes.ts'
import type { KeyMaterial, PairMaterial, SecretType } from './mechanism.ts'

type TypeSpecific = Omit<ComputedAttributes, 'check-value' | 'key-length-bytes'>

/** What a type of key pair says of itself. */
export interface PairDescription {
  readonly attributes: TypeSpecific
  /** What `key-length-bytes` of each half says; the private half's PKCS#8 when left out. */
  readonly publicLength: number
  readonly privateLength?: number
}

export type DescribePair = (spki: Buffer, publicKey: KeyObject) => PairDescription

export const hexadecimal = (bytes: Uint8Array) => `0x${Buffer.from(bytes).toString('hex')}`

/**
 * A secret key of these bytes, which become the material's. The check value is the first three bytes of a zero block
 * under the cipher; a generic secret has none.
 */
export function secretMaterial(type: SecretType, bytes: Buffer): KeyMaterial {
  const object = createSecretKey(bytes)
  const checkValue = checkValueOf(type, object, bytes.length)
  return {
    class: 'secret-key',
    bytes,
    object,
    attributes: {
      'key-type': type,
      ...(checkValue !== undefined && { 'check-value': checkValue }),
      'key-length-bytes': bytes.length,
    },
  }
}

function checkValueOf(type: SecretType, object: KeyObject, length: number): string | undefined {
  if (type === 'generic-secret') return undefined
  const name = type === 'aes' ? `aes-${length * 8}-ecb` : 'des-ede3-ecb'
  const cipher = createCipheriv(name, object, null).setAutoPadding(false)
  return hexadecimal(cipher.update(Buffer.alloc(type === 'aes' ? 16 : 8)).subarray(0, 3))
}

/** The check value is SHA-1 over the SubjectPublicKeyInfo for either half. */
const shared = (spki: Buffer, attributes: TypeSpecific) => ({
  ...attributes,
  'check-value': hexadecimal(createHash('sha1').update(spki).digest().subarray(0, 3)),
})

export function publicMaterial(publicKey: KeyObject, describe: DescribePair): KeyMaterial {
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const { attributes, publicLength } = describe(spki, publicKey)
  return {
    class: 'public-key',
    bytes: spki,
    object: publicKey,
    attributes: { ...shared(spki, attributes), 'key-length-bytes': publicLength },
  }
}

export function privateMaterial(privateKey: KeyObject, describe: DescribePair): KeyMaterial {
  const publicKey = createPublicKey(privateKey)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  const { attributes, privateLength = pkcs8.length } = describe(spki, publicKey)
  return {
    class: 'private-key',
    bytes: pkcs8,
    object: privateKey,
    attributes: { ...shared(spki, attributes), 'key-length-bytes': privateLength },
  }
}

/** Both halves of a pair. */
export function pairMaterial(privateKey: KeyObject, describe: DescribePair): PairMaterial {
  return {
    publicKey: publicMaterial(createPublicKey(privateKey), describe),
    privateKey: privateMaterial(privateKey, describe),
  }
}

/** A big-endian number of a JSON Web Key as attributes print it. */
export function numberOfJwk(value: unknown): string {
  if (typeof value !== 'string') throw new Error('a JSON Web Key lacks a number')
  return hexadecimal(Buffer.from(value, 'base64url'))
}
