/** AES-GCM (NIST SP 800-38D) by OpenSSL, for data and for keys. The HSM makes every IV itself (§8.2.2). */
import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto'
import { HsmError } from '../protocol/errors.ts'

/** Bytes of an IV that the HSM makes. */
export const GCM_IV_BYTES = 12

export interface GcmParams {
  readonly aad?: Uint8Array | undefined
  readonly tagBits: number
}

/** `ciphertext` ends in the tag. */
export function encryptGcm(
  key: KeyObject,
  { aad, tagBits }: GcmParams,
  data: Uint8Array,
): { iv: Buffer; ciphertext: Buffer } {
  const iv = randomBytes(GCM_IV_BYTES)
  const cipher = createCipheriv(gcmOf(key), key, iv, { authTagLength: tagBits / 8 })
  if (aad) cipher.setAAD(aad)
  return { iv, ciphertext: Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]) }
}

/** Throws DecryptionFailed when the tag does not fit, and gives nothing of the plaintext then. */
export function decryptGcm(
  key: KeyObject,
  { aad, tagBits, iv }: GcmParams & { readonly iv: Uint8Array },
  data: Uint8Array,
): Buffer {
  const body = data.length - tagBits / 8
  if (body < 0 || iv.length === 0) {
    throw new HsmError('InvalidRequest', `data is shorter than what it must hold, a tag of ${tagBits} bits`)
  }
  const decipher = createDecipheriv(gcmOf(key), key, iv, { authTagLength: tagBits / 8 })
  decipher.setAuthTag(data.subarray(body))
  if (aad) decipher.setAAD(aad)
  const plain = decipher.update(data.subarray(0, body))
  try {
    return Buffer.concat([plain, decipher.final()])
  } catch (cause) {
    throw new HsmError('DecryptionFailed', 'the data was not encrypted with this key, IV and aad', { cause })
  } finally {
    plain.fill(0)
  }
}

function gcmOf(key: KeyObject) {
  const bits = (key.symmetricKeySize ?? 0) * 8
  if (bits !== 128 && bits !== 192 && bits !== 256) throw new Error('an AES key has 128, 192 or 256 bits')
  return `aes-${bits}-gcm` as const
}
