/** Finding, exporting and deleting keys. */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { keyFilter, keyInfo } from '../attributes.ts'
import { bytes, keyHandle } from '../values.ts'

const none = z.strictObject({})

export const keyOperations = {
  /** Own keys, keys shared with the caller and all public keys, in ascending order of handle. */
  'key-find': {
    params: z.strictObject({
      filter: keyFilter,
      offset: z.number().int().min(0).default(0),
      limit: z.number().int().min(1).max(1000).default(1000),
    }),
    result: z.object({ keys: z.array(keyInfo), total: z.number() }),
  },
  'key-delete': { params: z.strictObject({ handle: keyHandle }), result: none },
  /** The public half as DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), of a public or private key. */
  'key-public': { params: z.strictObject({ handle: keyHandle }), result: z.object({ spki: bytes(16_384) }) },
} as const satisfies OperationTable
