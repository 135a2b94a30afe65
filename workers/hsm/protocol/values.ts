/** Value shapes that several operations share: bytes, users, key handles, members. Keys: `attributes.ts`; mechanisms: `mechanisms.ts`. */
import { z } from 'zod'

export const bytes = (max: number, min = 0) =>
  z
    .custom<Uint8Array>((value) => value instanceof Uint8Array && value.length >= min && value.length <= max, {
      error: ({ input }) => (input instanceof Uint8Array ? `must be ${min} to ${max} bytes long` : 'must be binary'),
    })
    // JSON Schema knows no bytes: for docs/protocol.md.
    .meta({ type: 'binary', minBytes: min, maxBytes: max })

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
  .describe('without a colon')

/** `full`: on every HSM of the cluster; `partial`: not yet; `session`: a session key, on one HSM only. */
export const coverage = z.enum(['full', 'partial', 'session'])

export const userInfo = z.object({
  username: z.string(),
  role: z.enum([...ROLES, 'unactivated-admin', 'internal(APPLIANCE_USER)']),
  locked: z.boolean(),
  /** Whether a login needs a signed token besides the password, and whether the user can approve (token-sign). */
  mfa: z.boolean().default(false),
  quorum: z.boolean().default(false),
  coverage,
})
export type UserInfo = z.infer<typeof userInfo>

/** A public key of token-sign as DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): RSA with 2,048 bits. */
export const tokenSignKey = bytes(512, 128)
/** RSASSA-PKCS1-v1_5 with SHA-256 by such a key. */
export const tokenSignature = bytes(256, 256)

/** A key handle: 16 lower-case hexadecimal digits behind `0x`, the same on every HSM of a cluster. */
export const keyHandle = z.string().regex(/^0x[0-9a-f]{16}$/, 'a key reference is 0x and 16 hexadecimal digits')

/** A member of a cluster as clients and peers reach it. `address` is where it listens; `eniIp` what the API shows. */
export const member = z.object({ hsmId: z.string(), address: z.string(), eniIp: z.string() })
export type Member = z.infer<typeof member>
