/** Making keys. */
import { z } from 'zod'
import { attributeTemplate, keyInfo } from '../attributes.ts'
import type { OperationTable } from '../envelope.ts'
import { aesBytes, genericSecretBytes, modulusBits, publicExponent } from '../key-sizes.ts'
import { CURVES, ML_DSA_PARAMETER_SETS, ML_KEM_PARAMETER_SETS, RSA_PAIR_MECHANISMS } from '../mechanisms.ts'
import { bytes, keyHandle } from '../values.ts'
import { creation } from './creation.ts'

const secret = { attributes: attributeTemplate, ...creation } as const
const pair = { publicAttributes: attributeTemplate, privateAttributes: attributeTemplate, ...creation } as const
const keyResult = z.object({ key: keyInfo })
const pairResult = z.object({ publicKey: keyInfo, privateKey: keyInfo })

/** Bytes of the longest ciphertext of a KEM: ML-KEM-1024 (FIPS 203 table 3). */
export const MAX_KEM_CIPHERTEXT_BYTES = 1568

/** What becomes of a shared secret, which has 32 bytes. */
const sharedSecretType = z.enum(['aes', 'generic-secret'])

export const generateOperations = {
  'key-generate-aes': {
    params: z.strictObject({ lengthBytes: aesBytes, ...secret }),
    result: keyResult,
  },
  /** Three keys of 8 bytes. NON_FIPS mode only. */
  'key-generate-des3': { params: z.strictObject(secret), result: keyResult },
  'key-generate-generic-secret': {
    params: z.strictObject({ lengthBytes: genericSecretBytes, ...secret }),
    result: keyResult,
  },
  'key-generate-rsa': {
    params: z.strictObject({
      modulusBits,
      publicExponent,
      /** `rsa-x9-31` promises primes with conditions (FIPS 186-4 B.3.6), which `rsa-pkcs`, the default, has here too. */
      mechanism: z.enum(RSA_PAIR_MECHANISMS).optional(),
      ...pair,
    }),
    result: pairResult,
  },
  /** Ed25519 is one of the curves: hsm2m.medium in NON_FIPS mode only. */
  'key-generate-ec': { params: z.strictObject({ curve: z.enum(CURVES), ...pair }), result: pairResult },
  'key-generate-ml-dsa': {
    params: z.strictObject({ parameterSet: z.enum(ML_DSA_PARAMETER_SETS), ...pair }),
    result: pairResult,
  },
  /** Beyond AWS. NON_FIPS mode only, as are the next two. */
  'key-generate-ml-kem': {
    params: z.strictObject({ parameterSet: z.enum(ML_KEM_PARAMETER_SETS), ...pair }),
    result: pairResult,
  },
  /** A new key, and its ciphertext for who holds the private half of `handle`, a key whose attribute wrap is true. */
  'key-encapsulate': {
    params: z.strictObject({ handle: keyHandle, type: sharedSecretType, ...secret }),
    result: z.object({ ciphertext: bytes(MAX_KEM_CIPHERTEXT_BYTES), key: keyInfo }),
  },
  /**
   * The key in a ciphertext, with the private key `handle`, whose attribute unwrap is true. A ciphertext that was not made
   * for it gives a key all the same, which nobody else has: FIPS 203 rejects implicitly.
   */
  'key-decapsulate': {
    params: z.strictObject({
      handle: keyHandle,
      ciphertext: bytes(MAX_KEM_CIPHERTEXT_BYTES),
      type: sharedSecretType,
      ...secret,
    }),
    result: keyResult,
  },
} as const satisfies OperationTable
