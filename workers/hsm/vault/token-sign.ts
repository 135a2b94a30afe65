/** Keys that users sign tokens with, for a login and for approvals (data-plane reference §1.4, §5): RSA-2048. */
import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { HsmError } from '../protocol/errors.ts'
import { tokenSignKey, type Role } from '../protocol/values.ts'

export const MODULUS_BITS = 2048
/** FIPS 186-5 §5.1 wants an odd one above 2^16; a longer one than this only makes checks slow. */
export const EXPONENTS = { min: 65_537n, max: 2n ** 32n } as const

/** One key a user, for either purpose or both. */
export const tokenSign = z.object({
  /** DER SubjectPublicKeyInfo. */
  publicKey: tokenSignKey,
  /** Whether logins need it. */
  mfa: z.boolean(),
  /** Whether it approves. */
  quorum: z.boolean(),
})
export type TokenSign = z.infer<typeof tokenSign>

/** What the preimage of every token that an HSM gives a user for a login begins with. */
export const challengeHead = (hsmId: string, { username, role }: { username: string; role: Role }): Buffer =>
  Buffer.from(`strongroom login token\n${hsmId}\n${username}\n${role}\n`, 'utf8')

/** Throws InvalidRequest when it is not an RSA key of 2,048 bits that this HSM takes. */
export function requireTokenSignKey(spki: Uint8Array): void {
  const key = parse(spki)
  const { modulusLength, publicExponent } = key?.asymmetricKeyDetails ?? {}
  const usable =
    key?.asymmetricKeyType === 'rsa' &&
    modulusLength === MODULUS_BITS &&
    publicExponent !== undefined &&
    publicExponent >= EXPONENTS.min &&
    publicExponent <= EXPONENTS.max &&
    publicExponent % 2n === 1n
  if (!usable) throw new HsmError('InvalidRequest', `a key for signing tokens is RSA with ${MODULUS_BITS} bits`)
}

/** Whether the signature is the key's over this token, RSASSA-PKCS1-v1_5; `preimage` is what the token is SHA-256 of. */
export function isSignedToken(spki: Uint8Array, preimage: Uint8Array, signature: Uint8Array): boolean {
  const key = parse(spki)
  return key !== undefined && verify('sha256', preimage, key, signature)
}

/**
 * Logins need this key from now on. Throws InvalidRequest when approvals use another one and are not to change.
 */
export function withLoginKey(
  registered: TokenSign | undefined,
  { publicKey, changeQuorum }: { readonly publicKey: Uint8Array; readonly changeQuorum: boolean },
): TokenSign {
  if (registered?.quorum && !changeQuorum) requireSameKey(registered, publicKey, 'approvals')
  return { publicKey, mfa: true, quorum: changeQuorum || (registered?.quorum ?? false) }
}

/** Approvals use this key from now on. Throws InvalidRequest when logins use another one. */
export function withApprovalKey(registered: TokenSign | undefined, publicKey: Uint8Array): TokenSign {
  if (registered?.mfa) requireSameKey(registered, publicKey, 'logins')
  return { publicKey, mfa: registered?.mfa ?? false, quorum: true }
}

function requireSameKey(registered: TokenSign, publicKey: Uint8Array, purpose: 'logins' | 'approvals'): void {
  if (Buffer.from(registered.publicKey).equals(publicKey)) return
  throw new HsmError(
    'InvalidRequest',
    `a user has one key for signing tokens: another one is registered for ${purpose}`,
  )
}

function parse(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  } catch {
    return undefined
  }
}
