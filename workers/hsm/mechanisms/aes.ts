/** AES: keys and GCM (NIST SP 800-38D). */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { HsmError } from '../protocol/errors.ts'
import { secretMaterial } from './describe.ts'
import type { KeyMaterial, MechanismKey } from './mechanism.ts'

/** Bytes of the IV, which the HSM always makes itself (SP 800-38D §8.2.2). */
const IV_BYTES = 12

export interface GcmParams {
  readonly aad?: Uint8Array | undefined
  readonly tagBits: number
}

export function generateAes(lengthBytes: 16 | 24 | 32): KeyMaterial {
  return secretMaterial(randomBytes(lengthBytes))
}

const gcmOf = (key: MechanismKey) => {
  const bits = (key.object.symmetricKeySize ?? 0) * 8
  if (bits !== 128 && bits !== 192 && bits !== 256) throw new Error('an AES key has 128, 192 or 256 bits')
  return `aes-${bits}-gcm` as const
}

export const aesGcm = {
  name: 'aes-gcm',
  keyType: 'aes',
  /** `ciphertext` ends in the tag. */
  encrypt(key: MechanismKey, { aad, tagBits }: GcmParams, data: Uint8Array): { iv: Buffer; ciphertext: Buffer } {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(gcmOf(key), key.object, iv, { authTagLength: tagBits / 8 })
    if (aad) cipher.setAAD(aad)
    return { iv, ciphertext: Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]) }
  },
  /** Throws DecryptionFailed when the tag does not fit, and gives nothing of the plaintext then. */
  decrypt(key: MechanismKey, { aad, tagBits, iv }: GcmParams & { iv: Uint8Array }, data: Uint8Array): Buffer {
    const body = data.length - tagBits / 8
    if (body < 0) throw new HsmError('InvalidRequest', `data is shorter than a tag of ${tagBits} bits`)
    const decipher = createDecipheriv(gcmOf(key), key.object, iv, { authTagLength: tagBits / 8 })
    decipher.setAuthTag(data.subarray(body))
    if (aad) decipher.setAAD(aad)
    try {
      return Buffer.concat([decipher.update(data.subarray(0, body)), decipher.final()])
    } catch (cause) {
      throw new HsmError('DecryptionFailed', 'the data was not encrypted with this key, IV and aad', { cause })
    }
  },
} as const
