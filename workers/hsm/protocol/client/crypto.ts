/** Using keys, and random bytes. */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { signMechanism } from '../mechanisms.ts'
import { bytes, keyHandle } from '../values.ts'
import { requireTwoCopies } from './two-copies.ts'

/** Bytes of the longest message to sign or verify; data-plane §4 gives hash-then-sign no cap, a frame has one. */
export const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
/** Published cap of AES-GCM (data-plane §4). */
export const MAX_GCM_BYTES = 16_224

export const cryptoOperations = {
  sign: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: signMechanism,
      data: bytes(MAX_MESSAGE_BYTES),
      requireTwoCopies,
    }),
    result: z.object({ signature: bytes(1024) }),
  },
  verify: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: signMechanism,
      data: bytes(MAX_MESSAGE_BYTES),
      signature: bytes(1024),
      requireTwoCopies,
    }),
    result: z.object({ valid: z.boolean() }),
  },
  /** AES-GCM; the HSM makes the 12-byte IV (data-plane §4). `ciphertext` ends in the tag. */
  encrypt: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: z.strictObject({
        name: z.literal('aes-gcm'),
        aad: bytes(MAX_GCM_BYTES).optional(),
        tagBits: z.union([z.literal(96), z.literal(104), z.literal(112), z.literal(120), z.literal(128)]).default(128),
      }),
      data: bytes(MAX_GCM_BYTES),
      requireTwoCopies,
    }),
    result: z.object({ iv: bytes(16), ciphertext: bytes(MAX_GCM_BYTES + 16) }),
  },
  /** DecryptionFailed when the tag does not fit. */
  decrypt: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: z.strictObject({
        name: z.literal('aes-gcm'),
        iv: bytes(16, 1),
        aad: bytes(MAX_GCM_BYTES).optional(),
        tagBits: z.union([z.literal(96), z.literal(104), z.literal(112), z.literal(120), z.literal(128)]).default(128),
      }),
      data: bytes(MAX_GCM_BYTES + 16),
      requireTwoCopies,
    }),
    result: z.object({ plaintext: bytes(MAX_GCM_BYTES) }),
  },
  random: {
    params: z.strictObject({ length: z.number().int().min(1).max(65_536) }),
    result: z.object({ bytes: bytes(65_536) }),
  },
} as const satisfies OperationTable
