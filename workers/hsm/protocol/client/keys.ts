/** Finding, changing, sharing, exporting and deleting keys. */
import { z } from 'zod'
import type { OperationTable } from '../envelope.ts'
import { attributeChange, keyFilter, keyInfo } from '../attributes.ts'
import { bytes, keyHandle, username } from '../values.ts'

const none = z.strictObject({})
const keyResult = z.object({ key: keyInfo })

export const keyOperations = {
  /**
   * Own keys, keys shared with the caller and all public keys, in ascending order of handle. Fewer than `limit` come, at least
   * one, when they are shared with so many users that more would not fit: go on behind the last.
   */
  'key-find': {
    params: z.strictObject({
      filter: keyFilter,
      offset: z.number().int().min(0).default(0),
      limit: z.number().int().min(1).max(1000).default(1000),
    }),
    result: z.object({ keys: z.array(keyInfo), total: z.number() }),
  },
  /** Many keys by their handles in one request, in the order asked for; what the caller does not see is left out. */
  'key-describe': {
    params: z.strictObject({ handles: z.array(keyHandle).min(1).max(1000) }),
    result: z.object({ keys: z.array(keyInfo) }),
  },
  'key-delete': { params: z.strictObject({ handle: keyHandle }), result: none },
  /** The public half as DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), of a public or private key. */
  'key-public': { params: z.strictObject({ handle: keyHandle }), result: z.object({ spki: bytes(16_384) }) },
  /** The bytes of an own secret key that is extractable and not sensitive. */
  'key-value': { params: z.strictObject({ handle: keyHandle }), result: z.object({ value: bytes(65_536) }) },
  /** New values of attributes, all or none: of an own key; `trusted`, alone, by an admin. */
  'key-set-attribute': {
    params: z.strictObject({ handle: keyHandle, attributes: attributeChange }),
    result: keyResult,
  },
  /** Lets another crypto user use an own key. */
  'key-share': { params: z.strictObject({ handle: keyHandle, username }), result: keyResult },
  'key-unshare': { params: z.strictObject({ handle: keyHandle, username }), result: keyResult },
} as const satisfies OperationTable
