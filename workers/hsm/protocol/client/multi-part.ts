/**
 * Operations on data that comes in parts: begin, any number of updates, finish. They belong to the connection, end with
 * its login, and count: 64 at a time, 1 GiB each, five minutes between parts.
 */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { cipherStreamMechanism, HASHES, signStreamMechanism } from '../mechanisms.ts'
import { bytes, keyHandle } from '../values.ts'
import { MAX_CIPHER_BYTES, MAX_MESSAGE_BYTES, MAX_SIGNATURE_BYTES } from './crypto.ts'
import { requireTwoCopies } from './two-copies.ts'

export const PART_LIMITS = {
  /** Begun and not finished, on one connection. */
  operations: 64,
  /** Of all parts of one operation. */
  bytes: 1024 ** 3,
  /** Without a part, after which the operation is given up. */
  idleMs: 300_000,
} as const

const signature = { handle: keyHandle, mechanism: signStreamMechanism, requireTwoCopies }
const cipher = { handle: keyHandle, mechanism: cipherStreamMechanism, requireTwoCopies }
const operation = z.number().int().min(0).max(0xffffffff)

export const multiPartOperations = {
  'part-begin': {
    params: z.discriminatedUnion('use', [
      z.strictObject({ use: z.literal('digest'), hash: z.enum(HASHES) }),
      z.strictObject({ use: z.literal('sign'), ...signature }),
      z.strictObject({ use: z.literal('verify'), ...signature }),
      z.strictObject({ use: z.literal('encrypt'), ...cipher }),
      z.strictObject({ use: z.literal('decrypt'), ...cipher }),
    ]),
    result: z.object({ operation }),
  },
  /** Whatever is wrong ends the operation. `output` is what a cipher gives already, else empty. */
  'part-update': {
    params: z.strictObject({ operation, data: bytes(MAX_MESSAGE_BYTES) }),
    result: z.object({ output: bytes(MAX_CIPHER_BYTES) }),
  },
  /** `output`: digest, signature, or the rest of the cipher's; empty for verify, whose answer is `valid`. */
  'part-finish': {
    params: z.strictObject({ operation, signature: bytes(MAX_SIGNATURE_BYTES).optional() }),
    result: z.object({ output: bytes(MAX_CIPHER_BYTES), valid: z.boolean().optional() }),
  },
  'part-cancel': { params: z.strictObject({ operation }), result: z.strictObject({}) },
} as const satisfies OperationTable
