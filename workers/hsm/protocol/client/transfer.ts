/** Keys that come in from outside, leave encrypted, or are made of other keys. */
import { z } from 'zod'
import { attributeTemplate, KEY_TYPES, keyInfo } from '../attributes.ts'
import type { OperationTable } from '../envelope.ts'
import { derivedBytes } from '../key-sizes.ts'
import { deriveMechanism, MAX_WRAPPED_BYTES, unwrapMechanism, wrapMechanism } from '../mechanisms.ts'
import { bytes, keyHandle } from '../values.ts'
import { creation } from './creation.ts'
import { requireTwoCopies } from './two-copies.ts'

const type = z.enum(KEY_TYPES)
const keyResult = z.object({ key: keyInfo })

/** Bytes of the longest key: an ML-DSA or RSA-4096 private key in PKCS#8 has about 5,000. */
export const MAX_KEY_BYTES = 16_384

export const transferOperations = {
  /**
   * A key from outside, as it is (C_CreateObject). `key`: a secret key's bytes, a private key's DER PKCS#8, or a public
   * key's DER SubjectPublicKeyInfo.
   */
  'key-import': {
    params: z.strictObject({
      class: z.enum(['secret-key', 'private-key', 'public-key']),
      type,
      key: bytes(MAX_KEY_BYTES, 1),
      attributes: attributeTemplate,
      ...creation,
    }),
    result: keyResult,
  },
  /** Encrypts the own key `handle` with the key `wrappingHandle`. `iv`: of AES-GCM, made by the HSM. */
  'key-wrap': {
    params: z.strictObject({
      handle: keyHandle,
      wrappingHandle: keyHandle,
      mechanism: wrapMechanism,
      requireTwoCopies,
    }),
    result: z.object({ wrapped: bytes(MAX_WRAPPED_BYTES), iv: bytes(16).optional() }),
  },
  /** Makes a key of what was wrapped, with the key `handle`. DecryptionFailed when it was not wrapped for that. */
  'key-unwrap': {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: unwrapMechanism,
      wrapped: bytes(MAX_WRAPPED_BYTES, 1),
      class: z.enum(['secret-key', 'private-key']),
      type,
      attributes: attributeTemplate,
      ...creation,
    }),
    result: keyResult,
  },
  /** Makes a secret key of the own key `handle` and the mechanism's parameters. */
  'key-derive': {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: deriveMechanism,
      type: z.enum(['aes', 'des3', 'generic-secret']),
      lengthBytes: derivedBytes,
      attributes: attributeTemplate,
      ...creation,
    }),
    result: keyResult,
  },
} as const satisfies OperationTable
