/** Mechanisms as they travel: hashes, curves, and the parameters of each. */
import { z } from 'zod'

export const CURVES = ['prime256v1', 'secp256r1', 'secp384r1'] as const
export const HASHES = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const
export type HashName = (typeof HASHES)[number]

/**
 * Signature mechanisms (data-plane §4). `dataType` says whether `data` is the message or its digest.
 * ECDSA signatures are r||s, each as long as the curve's order.
 */
export const signMechanism = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('rsa-pkcs'),
    hash: z.enum(HASHES),
    dataType: z.enum(['raw', 'digest']).default('raw'),
  }),
  z.strictObject({
    name: z.literal('rsa-pkcs-pss'),
    hash: z.enum(HASHES),
    mgf: z.enum(HASHES),
    saltLength: z.number().int().min(0).max(512),
    dataType: z.enum(['raw', 'digest']).default('raw'),
  }),
  z.strictObject({
    name: z.literal('ecdsa'),
    hash: z.enum(HASHES),
    dataType: z.enum(['raw', 'digest']).default('raw'),
  }),
])
export type SignMechanism = z.input<typeof signMechanism>
