/** Sizes of keys and parameters that a cluster takes, whatever its mode; each with its source. */
import { HsmError } from '../protocol/errors.ts'
import type { Place } from './mechanism-policy.ts'

/** Bits of an RSA modulus (data-plane reference §3.1; FIPS 186-5 §5.1 asks for 2048 at least). */
export const MODULUS_BITS = { min: 2048, max: 4096, step: 256 } as const

export function requireModulus(bits: number): void {
  if (bits >= MODULUS_BITS.min && bits <= MODULUS_BITS.max && bits % MODULUS_BITS.step === 0) return
  throw new HsmError(
    'MechanismInvalid',
    `an RSA modulus has 2048 to 4096 bits in steps of 256, not ${bits} (FIPS 186-5 section 5.1; AWS CloudHSM user guide)`,
  )
}

/** FIPS 186-5 §5.4: odd, above 2^16 and below 2^256. */
export function requirePublicExponent(exponent: bigint): void {
  if (exponent % 2n === 1n && exponent >= 65_537n && exponent < 1n << 256n) return
  throw new HsmError(
    'MechanismInvalid',
    'an RSA public exponent is odd, at least 65537 and below 2^256 (FIPS 186-5 section 5.4)',
  )
}

/** Bytes of secret keys by type (data-plane reference §3.1). */
export const SECRET_BYTES = {
  aes: { allows: (length: number) => length === 16 || length === 24 || length === 32, text: '16, 24 or 32 bytes' },
  des3: { allows: (length: number) => length === 24, text: '24 bytes' },
  'generic-secret': { allows: (length: number) => length >= 1 && length <= 800, text: '1 to 800 bytes' },
} as const

export type SecretType = keyof typeof SECRET_BYTES

export function requireSecretLength(type: SecretType, length: number): void {
  if (SECRET_BYTES[type].allows(length)) return
  throw new HsmError('MechanismInvalid', `a key of type ${type} has ${SECRET_BYTES[type].text}, not ${length}`)
}

/** hsm2m.medium takes no AES-CBC IV of zeros when it unwraps (data-plane reference §4.1). */
export function requireUnwrapIv({ hsmType }: Place, iv: Uint8Array): void {
  if (hsmType === 'hsm1.medium' || iv.some((byte) => byte !== 0)) return
  throw new HsmError(
    'MechanismInvalid',
    'invalid mechanism: hsm2m.medium does not unwrap with AES-CBC and an IV of zeros ' +
      '(AWS CloudHSM user guide, known issues for hsm2m.medium)',
  )
}
