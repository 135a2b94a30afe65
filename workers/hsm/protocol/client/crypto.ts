/** Using keys, and random bytes. */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { decryptMechanism, encryptMechanism, HASHES, signMechanism } from '../mechanisms.ts'
import { bytes, keyHandle } from '../values.ts'
import { requireTwoCopies } from './two-copies.ts'

/** Bytes of the longest message to sign or verify; data-plane §4 gives hash-then-sign no cap, a frame has one. */
export const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
/** Bytes that an encryption takes or gives at most; the mechanisms' own caps (data-plane §4) are lower. */
export const MAX_CIPHER_BYTES = 32_768

/** Bytes of the longest signature: ML-DSA-87 has 4,627 (FIPS 204 §4). */
export const MAX_SIGNATURE_BYTES = 8_192

export const cryptoOperations = {
  sign: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: signMechanism,
      data: bytes(MAX_MESSAGE_BYTES),
      requireTwoCopies,
    }),
    result: z.object({ signature: bytes(MAX_SIGNATURE_BYTES) }),
  },
  verify: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: signMechanism,
      data: bytes(MAX_MESSAGE_BYTES),
      signature: bytes(MAX_SIGNATURE_BYTES),
      requireTwoCopies,
    }),
    result: z.object({ valid: z.boolean() }),
  },
  /**
   * `iv` is that of AES-GCM, which the HSM makes: 12 bytes (data-plane §4); empty for all others. What authenticates
   * ends in the tag.
   */
  encrypt: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: encryptMechanism,
      data: bytes(MAX_CIPHER_BYTES),
      requireTwoCopies,
    }),
    result: z.object({ iv: bytes(16), ciphertext: bytes(MAX_CIPHER_BYTES) }),
  },
  /** DecryptionFailed when tag or padding do not fit. */
  decrypt: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: decryptMechanism,
      data: bytes(MAX_CIPHER_BYTES),
      requireTwoCopies,
    }),
    result: z.object({ plaintext: bytes(MAX_CIPHER_BYTES) }),
  },
  digest: {
    params: z.strictObject({ hash: z.enum(HASHES), data: bytes(MAX_MESSAGE_BYTES) }),
    result: z.object({ digest: bytes(64) }),
  },
  random: {
    params: z.strictObject({ length: z.number().int().min(1).max(65_536) }),
    result: z.object({ bytes: bytes(65_536) }),
  },
} as const satisfies OperationTable
