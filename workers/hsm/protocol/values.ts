/** Value shapes that several operations share: users, keys, attributes, mechanisms. */
import { z } from 'zod'

export const bytes = (max: number, min = 0) =>
  z
    .custom<Uint8Array>((value) => value instanceof Uint8Array, 'must be binary')
    .refine((value) => value.length >= min && value.length <= max, `must be ${min} to ${max} bytes long`)

/** Roles of data-plane reference §1.1 that a client can log in as. */
export const ROLES = ['admin', 'crypto-user'] as const
export const role = z.enum(ROLES)
export type Role = z.infer<typeof role>

/** A user name: up to 31 characters, `_` the only special one, case-insensitive, kept lower-case (data-plane §1.3). */
export const username = z
  .string()
  .regex(/^[a-zA-Z0-9_]{1,31}$/, 'a user name is 1 to 31 letters, digits or underscores')
  .transform((name) => name.toLowerCase())

/** A password: 8 to 32 characters without a colon, which separates it from the name in a PIN (data-plane §1.3). */
export const password = z
  .string()
  .min(8, 'a password has 8 to 32 characters')
  .max(32, 'a password has 8 to 32 characters')
  .refine((value) => !value.includes(':'), 'a password may not contain a colon')

/** `full`: on every HSM of the cluster; `partial`: not yet; `session`: a session key, on one HSM only. */
export const coverage = z.enum(['full', 'partial', 'session'])

export const userInfo = z.object({
  username: z.string(),
  role: z.enum([...ROLES, 'unactivated-admin', 'internal(APPLIANCE_USER)']),
  locked: z.boolean(),
  coverage,
})
export type UserInfo = z.infer<typeof userInfo>

/** A key handle: 16 lower-case hexadecimal digits behind `0x`, the same on every HSM of a cluster. */
export const keyHandle = z.string().regex(/^0x[0-9a-f]{16}$/, 'a key reference is 0x and 16 hexadecimal digits')

export const KEY_CLASSES = ['secret-key', 'public-key', 'private-key'] as const
export const KEY_TYPES = ['aes', 'rsa', 'ec'] as const
export const CURVES = ['prime256v1', 'secp256r1', 'secp384r1'] as const
export const HASHES = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const
export type HashName = (typeof HASHES)[number]

/** Boolean attributes, by their CLI names, in the order the CLI prints them (data-plane §2.3). */
export const BOOLEAN_ATTRIBUTES = [
  'encrypt',
  'decrypt',
  'token',
  'always-sensitive',
  'derive',
  'destroyable',
  'extractable',
  'local',
  'modifiable',
  'never-extractable',
  'private',
  'sensitive',
  'sign',
  'trusted',
  'unwrap',
  'verify',
  'wrap',
  'wrap-with-trusted',
] as const
export type BooleanAttribute = (typeof BOOLEAN_ATTRIBUTES)[number]

/** What a caller may ask for at creation; what is left out takes its default. */
export const attributeTemplate = z.strictObject({
  label: z.string().max(127).optional(),
  /** CKA_ID, hexadecimal behind `0x`. */
  id: z
    .string()
    .regex(/^0x([0-9a-fA-F]{2}){0,128}$/, 'an id is 0x and an even number of hexadecimal digits')
    .optional(),
  ...(Object.fromEntries(BOOLEAN_ATTRIBUTES.map((name) => [name, z.boolean().optional()])) as {
    [Name in BooleanAttribute]: z.ZodOptional<z.ZodBoolean>
  }),
})
export type AttributeTemplate = z.infer<typeof attributeTemplate>

/** Every attribute of a key by its CLI name; the numbers and texts that do not apply to its type are absent. */
export const keyAttributes = z.object({
  'key-type': z.enum(KEY_TYPES),
  label: z.string(),
  id: z.string(),
  /** Three bytes, hexadecimal behind `0x` (data-plane §2.4). */
  'check-value': z.string(),
  class: z.enum(KEY_CLASSES),
  ...(Object.fromEntries(BOOLEAN_ATTRIBUTES.map((name) => [name, z.boolean()])) as {
    [Name in BooleanAttribute]: z.ZodBoolean
  }),
  'key-length-bytes': z.number(),
  'public-exponent': z.string().optional(),
  modulus: z.string().optional(),
  'modulus-size-bits': z.number().optional(),
  'ec-point': z.string().optional(),
  curve: z.string().optional(),
})
export type KeyAttributes = z.infer<typeof keyAttributes>

export const keyInfo = z.object({
  handle: keyHandle,
  owner: z.string(),
  sharedWith: z.array(z.string()),
  coverage,
  attributes: keyAttributes,
})
export type KeyInfo = z.infer<typeof keyInfo>

/** Attribute values to match, by CLI name; all must hold. `handle` selects one key. */
export const keyFilter = z.strictObject({
  handle: keyHandle.optional(),
  attributes: z.record(z.string().max(64), z.union([z.string().max(2048), z.boolean(), z.number()])).default({}),
})
export type KeyFilter = z.input<typeof keyFilter>

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

/** A member of a cluster as clients and peers reach it. `address` is where it listens; `eniIp` what the API shows. */
export const member = z.object({ hsmId: z.string(), address: z.string(), eniIp: z.string() })
export type Member = z.infer<typeof member>
