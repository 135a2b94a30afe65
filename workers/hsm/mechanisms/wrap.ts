/** Wrapping and unwrapping keys: every mechanism by name. Whose keys they are and what may leave is the vault's to say. */
import { createDecipheriv, createSecretKey, randomBytes } from 'node:crypto'
import type { z } from 'zod'
import { requireUnwrapIv } from '../policy/key-policy.ts'
import type { Place } from '../policy/mechanism-policy.ts'
import { HsmError } from '../protocol/errors.ts'
import type { unwrapMechanism, wrapMechanism } from '../protocol/mechanisms.ts'
import type { KeyClass } from '../vault/attributes.ts'
import { decryptGcm, encryptGcm, GCM_IV_BYTES } from './gcm.ts'
import { unwrapWithAes, wrapWithAes } from './key-wrap.ts'
import type { KeyType, UsableKey } from './mechanism.ts'
import { requireUse, type Needs } from './require-use.ts'
import { longestData, modulusBitsOf, rsaDecrypt, rsaEncrypt } from './rsa-encryption.ts'

export type WrapParams = z.output<typeof wrapMechanism>
export type UnwrapParams = z.output<typeof unwrapMechanism>

export interface WrapRequest extends Place {
  readonly key: UsableKey
  /** The key to be wrapped: secret bytes or DER PKCS#8. */
  readonly payload: { readonly class: KeyClass; readonly type: KeyType; readonly bytes: Uint8Array }
}

export interface UnwrapRequest extends Place {
  readonly key: UsableKey
  readonly wrapped: Uint8Array
}

export interface Wrapped {
  readonly wrapped: Buffer
  /** Of AES-GCM, which does not carry it in front. */
  readonly iv?: Buffer
}

/** Bits of the key that RSA-AES makes for one wrapping. */
const MOMENTARY_KEY_BYTES = 32

const needsOf = (name: WrapParams['name'] | UnwrapParams['name']): Needs =>
  name === 'rsa-pkcs' || name === 'rsa-oaep' || name === 'rsa-aes'
    ? { name, keyType: 'rsa' }
    : { name, keyType: 'aes', secret: true }

/** Throws MechanismInvalid, KeyFunctionNotPermitted or InvalidRequest when the parts do not go together. */
export function wrapMaterial(params: WrapParams, { key, payload, ...place }: WrapRequest): Wrapped {
  requireUse('wrap', needsOf(params.name), key, place)
  requireMask(params)
  if (payload.class === 'public-key') {
    throw new HsmError('KeyFunctionNotPermitted', 'a public key is read, not wrapped')
  }
  switch (params.name) {
    case 'aes-no-pad':
    case 'aes-zero-pad':
    case 'aes-pkcs5-pad':
      return { wrapped: wrapWithAes(params.name, key.object, payload.bytes) }
    case 'aes-gcm': {
      const { iv, ciphertext } = encryptGcm(key.object, params, payload.bytes)
      return { wrapped: ciphertext, iv }
    }
    case 'cloudhsm-aes-gcm': {
      const { iv, ciphertext } = encryptGcm(key.object, params, payload.bytes)
      return { wrapped: Buffer.concat([iv, ciphertext]) }
    }
    case 'rsa-pkcs':
    case 'rsa-oaep':
      return { wrapped: rsaEncrypt(key, params, payload.bytes) }
    case 'rsa-aes':
      return { wrapped: wrapThroughAes(params, key, payload.bytes) }
  }
}

/** The bytes of the key. Throws as `wrapMaterial` does, and DecryptionFailed. The caller wipes what it gets. */
export function unwrapMaterial(params: UnwrapParams, { key, wrapped, ...place }: UnwrapRequest): Buffer {
  requireUse('unwrap', needsOf(params.name), key, place)
  requireMask(params)
  switch (params.name) {
    case 'aes-no-pad':
    case 'aes-zero-pad':
    case 'aes-pkcs5-pad':
      return unwrapWithAes(params.name, key.object, wrapped)
    case 'aes-gcm':
      return decryptGcm(key.object, params, wrapped)
    case 'cloudhsm-aes-gcm':
      return decryptGcm(
        key.object,
        { ...params, iv: wrapped.subarray(0, GCM_IV_BYTES) },
        wrapped.subarray(GCM_IV_BYTES),
      )
    case 'aes-cbc-pad':
      requireUnwrapIv(place, params.iv)
      return unwrapCbc(key, params.iv, wrapped)
    case 'rsa-pkcs':
    case 'rsa-oaep':
      return rsaDecrypt(key, params, wrapped)
    case 'rsa-aes':
      return unwrapThroughAes(params, key, wrapped)
  }
}

/** AWS's tools take the same hash for the mask as for the rest (data-plane reference §2.2). */
function requireMask(params: WrapParams | UnwrapParams): void {
  if (params.name !== 'rsa-oaep' && params.name !== 'rsa-aes') return
  if (params.mgf === undefined || params.mgf === params.hash) return
  throw new HsmError('MechanismInvalid', `the hash of the mask (mgf1-${params.mgf}) must be that of ${params.name}`)
}

type RsaAes = Extract<WrapParams, { name: 'rsa-aes' }>
const oaepOf = ({ hash, mgf }: RsaAes) => ({ name: 'rsa-oaep', hash, mgf }) as const

function wrapThroughAes(params: RsaAes, key: UsableKey, payload: Uint8Array): Buffer {
  const bits = modulusBitsOf(key)
  if (longestData(oaepOf(params), bits) < MOMENTARY_KEY_BYTES) {
    throw new HsmError('InvalidRequest', `rsa-aes with ${params.hash} does not fit a modulus of ${bits} bits`)
  }
  const momentary = randomBytes(MOMENTARY_KEY_BYTES)
  try {
    const sealed = rsaEncrypt(key, oaepOf(params), momentary)
    return Buffer.concat([sealed, wrapWithAes('aes-zero-pad', createSecretKey(momentary), payload)])
  } finally {
    momentary.fill(0)
  }
}

function unwrapThroughAes(params: RsaAes, key: UsableKey, wrapped: Uint8Array): Buffer {
  const modulusBytes = modulusBitsOf(key) / 8
  if (wrapped.length <= modulusBytes) throw notUnwrapped('rsa-aes')
  const momentary = rsaDecrypt(key, oaepOf(params), wrapped.subarray(0, modulusBytes))
  try {
    if (![16, 24, 32].includes(momentary.length)) throw notUnwrapped('rsa-aes')
    return unwrapWithAes('aes-zero-pad', createSecretKey(momentary), wrapped.subarray(modulusBytes))
  } finally {
    momentary.fill(0)
  }
}

function unwrapCbc(key: UsableKey, iv: Uint8Array, wrapped: Uint8Array): Buffer {
  const parts: Buffer[] = []
  try {
    const decipher = createDecipheriv(`aes-${(key.object.symmetricKeySize ?? 0) * 8}-cbc`, key.object, iv)
    parts.push(decipher.update(wrapped), decipher.final())
    return Buffer.concat(parts)
  } catch (cause) {
    throw notUnwrapped('aes-cbc-pad', cause)
  } finally {
    for (const part of parts) part.fill(0)
  }
}

const notUnwrapped = (name: string, cause?: unknown) =>
  new HsmError('DecryptionFailed', `the data was not wrapped with this key by ${name}`, { cause })
