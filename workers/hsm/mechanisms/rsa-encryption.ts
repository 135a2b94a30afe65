/** RSA encryption and decryption by OpenSSL: PKCS#1 v1.5, OAEP and without padding (RFC 8017 §7, CKM_RSA_X_509). */
import { constants, privateDecrypt, publicEncrypt } from 'node:crypto'
import { HsmError } from '../protocol/errors.ts'
import type { HashName } from '../protocol/mechanisms.ts'
import { DIGEST_BYTES } from './digest.ts'
import type { MechanismKey } from './mechanism.ts'

export type RsaEncryption =
  | { readonly name: 'rsa-pkcs' }
  | { readonly name: 'rsa-x509' }
  | {
      readonly name: 'rsa-oaep'
      readonly hash: HashName
      readonly mgf?: HashName | undefined
      readonly label?: Uint8Array | undefined
    }

/** Bytes of the longest data, RFC 8017 §7.1.1 and §7.2.1; negative when even none fits. */
export function longestData(params: RsaEncryption, modulusBits: number): number {
  const modulus = modulusBits / 8
  if (params.name === 'rsa-x509') return modulus
  return params.name === 'rsa-pkcs' ? modulus - 11 : modulus - 2 * DIGEST_BYTES[params.hash] - 2
}

/** As long as the modulus. Throws InvalidRequest when the data is too long. */
export function rsaEncrypt(key: MechanismKey, params: RsaEncryption, data: Uint8Array): Buffer {
  const bits = modulusBitsOf(key)
  const longest = longestData(params, bits)
  if (data.length > longest) {
    throw new HsmError(
      'InvalidRequest',
      `${params.name} with a modulus of ${bits} bits takes at most ${longest} bytes, not ${data.length}`,
    )
  }
  try {
    return publicEncrypt(paddingOf(key, params), params.name === 'rsa-x509' ? leftPadded(data, bits / 8) : data)
  } catch (cause) {
    // Without padding, data may be a number beyond the modulus.
    throw new HsmError('InvalidRequest', 'the data, read as a number, is not below the modulus', { cause })
  }
}

/**
 * Throws DecryptionFailed in the same words whatever is wrong. PKCS#1 v1.5: OpenSSL rejects implicitly, a bad padding
 * gives a plaintext that depends on key and ciphertext only and tells nothing, so that there is no oracle
 * (Bleichenbacher 1998; draft-irtf-cfrg-rsa-guidance). The caller wipes what it gets.
 */
export function rsaDecrypt(key: MechanismKey, params: RsaEncryption, data: Uint8Array): Buffer {
  const modulusBytes = modulusBitsOf(key) / 8
  if (data.length !== modulusBytes) {
    throw new HsmError(
      'InvalidRequest',
      `the data is as long as the modulus, ${modulusBytes} bytes, not ${data.length}`,
    )
  }
  try {
    return privateDecrypt(paddingOf(key, params), data)
  } catch (cause) {
    throw new HsmError('DecryptionFailed', 'the data was not encrypted with this key and these parameters', { cause })
  }
}

function paddingOf({ object: key }: MechanismKey, params: RsaEncryption) {
  if (params.name === 'rsa-x509') return { key, padding: constants.RSA_NO_PADDING }
  if (params.name === 'rsa-pkcs') return { key, padding: constants.RSA_PKCS1_PADDING }
  return {
    key,
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: params.hash,
    mgf1Hash: params.mgf ?? params.hash,
    ...(params.label && params.label.length > 0 && { oaepLabel: params.label }),
  }
}

export function leftPadded(data: Uint8Array, length: number): Buffer {
  const block = Buffer.alloc(length)
  block.set(data, length - data.length)
  return block
}

export function modulusBitsOf({ modulusBits }: MechanismKey): number {
  if (modulusBits === undefined) throw new Error('an RSA key has a modulus')
  return modulusBits
}
