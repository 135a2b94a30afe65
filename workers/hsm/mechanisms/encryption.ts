/** Encrypting and decrypting data: every mechanism by name. */
import type { z } from 'zod'
import type { Place } from '../policy/mechanism-policy.ts'
import type { decryptMechanism, encryptMechanism } from '../protocol/mechanisms.ts'
import { paddingBytesOf, runCipher } from './block-cipher.ts'
import { requireData } from './data-caps.ts'
import { decryptGcm, encryptGcm, GCM_IV_BYTES } from './gcm.ts'
import type { UsableKey } from './mechanism.ts'
import { requireUse, type Needs } from './require-use.ts'
import { rsaDecrypt, rsaEncrypt } from './rsa-encryption.ts'

export type EncryptParams = z.output<typeof encryptMechanism>
export type DecryptParams = z.output<typeof decryptMechanism>

export interface CipherRequest extends Place {
  readonly key: UsableKey
  readonly data: Uint8Array
}

export interface Encrypted {
  readonly ciphertext: Buffer
  /** That the HSM made, where it does not travel in front of the ciphertext; else empty. */
  readonly iv: Buffer
}

const NO_IV = Buffer.alloc(0)

/** What a mechanism asks of its key. */
export function cipherNeeds(name: EncryptParams['name']): Needs {
  if (name === 'rsa-pkcs' || name === 'rsa-oaep' || name === 'rsa-x509') return { name, keyType: 'rsa' }
  return { name, keyType: name.startsWith('des3') ? 'des3' : 'aes', secret: true }
}

/** Throws MechanismInvalid, KeyFunctionNotPermitted, LimitExceeded or InvalidRequest. */
export function encrypt(params: EncryptParams, { key, data, ...place }: CipherRequest): Encrypted {
  requireUse('encrypt', cipherNeeds(params.name), key, place)
  switch (params.name) {
    case 'aes-gcm':
      requireData(params.name, data)
      return encryptGcm(key.object, params, data)
    case 'cloudhsm-aes-gcm': {
      requireData(params.name, data)
      const { iv, ciphertext } = encryptGcm(key.object, params, data)
      return { iv: NO_IV, ciphertext: Buffer.concat([iv, ciphertext]) }
    }
    case 'rsa-pkcs':
    case 'rsa-oaep':
    case 'rsa-x509':
      return { iv: NO_IV, ciphertext: rsaEncrypt(key, params, data) }
    default:
      requireData(params.name, data)
      return { iv: NO_IV, ciphertext: runCipher('encrypt', params, key, data) }
  }
}

/** Throws as `encrypt` does, and DecryptionFailed. */
export function decrypt(params: DecryptParams, { key, data, ...place }: CipherRequest): Buffer {
  requireUse('decrypt', cipherNeeds(params.name), key, place)
  switch (params.name) {
    case 'aes-gcm':
      requireData(params.name, data, params.tagBits / 8)
      return decryptGcm(key.object, params, data)
    case 'cloudhsm-aes-gcm': {
      requireData(params.name, data, GCM_IV_BYTES + params.tagBits / 8)
      const iv = data.subarray(0, GCM_IV_BYTES)
      return decryptGcm(key.object, { ...params, iv }, data.subarray(GCM_IV_BYTES))
    }
    case 'rsa-pkcs':
    case 'rsa-oaep':
    case 'rsa-x509':
      return rsaDecrypt(key, params, data)
    default:
      requireData(params.name, data, paddingBytesOf(params))
      return runCipher('decrypt', params, key, data)
  }
}
