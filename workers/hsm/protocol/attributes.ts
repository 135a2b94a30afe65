/** Keys as they travel: classes, types, attributes by the CLI's names, templates and filters. */
import { z } from 'zod'
import { coverage, keyHandle } from './values.ts'

export const KEY_CLASSES = ['secret-key', 'public-key', 'private-key'] as const
/** `ml-kem` is not AWS's. An Ed25519 key is an `ec` key of the curve `ed25519`. */
export const KEY_TYPES = ['aes', 'des3', 'generic-secret', 'rsa', 'ec', 'ml-dsa', 'ml-kem'] as const

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

/** What a caller may choose freely. */
const chosen = {
  label: z.string().max(127).optional(),
  /** CKA_ID, hexadecimal behind `0x`; kept in lower case, so that templates compare as it is. */
  id: z
    .string()
    .regex(/^0x([0-9a-fA-F]{2}){0,128}$/, 'an id is 0x and an even number of hexadecimal digits')
    .toLowerCase()
    .optional(),
  ...(Object.fromEntries(BOOLEAN_ATTRIBUTES.map((name) => [name, z.boolean().optional()])) as {
    [Name in BooleanAttribute]: z.ZodOptional<z.ZodBoolean>
  }),
}

/**
 * A template that a key carries: what a key must be to be wrapped with it (CKA_WRAP_TEMPLATE), or what a key unwrapped
 * with it becomes (CKA_UNWRAP_TEMPLATE; PKCS#11 2.40 §4.9, data-plane §3.3).
 */
export const carriedTemplate = z.strictObject({
  class: z.enum(KEY_CLASSES).optional(),
  'key-type': z.enum(KEY_TYPES).optional(),
  ...chosen,
})
export type CarriedTemplate = z.infer<typeof carriedTemplate>

/** What a caller may ask for at creation; what is left out takes its default. */
export const attributeTemplate = z.strictObject({
  ...chosen,
  'wrap-template': carriedTemplate.optional(),
  'unwrap-template': carriedTemplate.optional(),
})
export type AttributeTemplate = z.infer<typeof attributeTemplate>

/** New values of a key's attributes; null takes a template away. */
export const attributeChange = z
  .strictObject({
    ...chosen,
    'wrap-template': carriedTemplate.nullable().optional(),
    'unwrap-template': carriedTemplate.nullable().optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), 'names no attribute')
export type AttributeChange = z.infer<typeof attributeChange>

/** Whose defaults hold for attributes that a template leaves out: each of AWS's tools has its own (data-plane §3.1). */
export const DEFAULT_SETS = ['cli', 'pkcs11', 'jce'] as const
export type DefaultSet = (typeof DEFAULT_SETS)[number]

/** Every attribute of a key by its CLI name; the numbers and texts that do not apply to its type are absent. */
export const keyAttributes = z.object({
  'key-type': z.enum(KEY_TYPES),
  label: z.string(),
  id: z.string(),
  /** Three bytes, hexadecimal behind `0x` (data-plane §2.4). A generic secret has none. */
  'check-value': z.string().optional(),
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
  /** ML-DSA-44, … */
  'mldsa-algorithm': z.string().optional(),
  /** ML-KEM-512, … */
  'mlkem-algorithm': z.string().optional(),
  'wrap-template': carriedTemplate.optional(),
  'unwrap-template': carriedTemplate.optional(),
})
export type KeyAttributes = z.infer<typeof keyAttributes>

export const keyInfo = z.object({
  handle: keyHandle,
  owner: z.string(),
  sharedWith: z.array(z.string()),
  coverage,
  /** Approvals that managing the key takes, and using it; 0 and 1 ask for none (data-plane §5). */
  manageQuorum: z.number().default(0),
  useQuorum: z.number().default(0),
  attributes: keyAttributes,
})
export type KeyInfo = z.infer<typeof keyInfo>

/** Attribute values to match, by CLI name; all must hold. `handle` selects one key. */
export const keyFilter = z.strictObject({
  handle: keyHandle.optional(),
  attributes: z.record(z.string().max(64), z.union([z.string().max(2048), z.boolean(), z.number()])).default({}),
})
export type KeyFilter = z.input<typeof keyFilter>
