/** AES key wrapping by OpenSSL: RFC 3394, RFC 5649, and RFC 3394 after PKCS#5 padding as CloudHSM does it. */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { HsmError } from '../protocol/errors.ts'

/** RFC 3394 §2.2.3.1 and RFC 5649 §3. */
const IV = Buffer.alloc(8, 0xa6)
const ALTERNATIVE_IV = Buffer.from('a65959a6', 'hex')
/** Bytes of a semiblock. */
const SEMIBLOCK = 8

export type KeyWrapName = 'aes-no-pad' | 'aes-zero-pad' | 'aes-pkcs5-pad'

const bitsOf = (key: KeyObject) => (key.symmetricKeySize ?? 0) * 8

/** Throws InvalidRequest for a key that cannot be wrapped without padding. */
export function wrapWithAes(name: KeyWrapName, key: KeyObject, payload: Uint8Array): Buffer {
  if (name === 'aes-zero-pad') return throughCipher(key, 'wrap-pad', ALTERNATIVE_IV, payload)
  if (name === 'aes-no-pad') {
    if (payload.length % SEMIBLOCK !== 0 || payload.length < 2 * SEMIBLOCK) {
      throw new HsmError(
        'InvalidRequest',
        `aes-no-pad wraps keys of a multiple of 8 bytes, 16 at least, not of ${payload.length} (RFC 3394 section 2)`,
      )
    }
    return throughCipher(key, 'wrap', IV, payload)
  }
  const padding = SEMIBLOCK - (payload.length % SEMIBLOCK)
  // RFC 3394 has no form for a single semiblock.
  const least = payload.length + padding < 2 * SEMIBLOCK ? padding + SEMIBLOCK : padding
  const padded = Buffer.concat([payload, Buffer.alloc(least, least)])
  try {
    return throughCipher(key, 'wrap', IV, padded)
  } finally {
    padded.fill(0)
  }
}

/** Throws DecryptionFailed, in the same words whatever is wrong. The caller wipes what it gets. */
export function unwrapWithAes(name: KeyWrapName, key: KeyObject, wrapped: Uint8Array): Buffer {
  const least = name === 'aes-zero-pad' ? 2 * SEMIBLOCK : 3 * SEMIBLOCK
  if (wrapped.length % SEMIBLOCK !== 0 || wrapped.length < least) throw notWrapped(name)
  let plain: Buffer
  try {
    const [kind, iv] = name === 'aes-zero-pad' ? (['wrap-pad', ALTERNATIVE_IV] as const) : (['wrap', IV] as const)
    const decipher = createDecipheriv(`id-aes${bitsOf(key)}-${kind}`, key, iv)
    plain = decipher.update(wrapped)
    decipher.final()
  } catch (cause) {
    throw notWrapped(name, cause)
  }
  if (name !== 'aes-pkcs5-pad') return plain
  const padding = plain.at(-1) ?? 0
  const key5 = plain.subarray(0, plain.length - padding)
  const intact = padding >= 1 && padding < 2 * SEMIBLOCK && key5.length > 0
  if (!intact || plain.subarray(plain.length - padding).some((byte) => byte !== padding)) {
    plain.fill(0)
    throw notWrapped(name)
  }
  return key5
}

function throughCipher(key: KeyObject, kind: 'wrap' | 'wrap-pad', iv: Buffer, payload: Uint8Array): Buffer {
  const cipher = createCipheriv(`id-aes${bitsOf(key)}-${kind}`, key, iv)
  const wrapped = cipher.update(payload)
  return Buffer.concat([wrapped, cipher.final()])
}

const notWrapped = (name: string, cause?: unknown) =>
  new HsmError('DecryptionFailed', `the data was not wrapped with this key by ${name}`, { cause })
