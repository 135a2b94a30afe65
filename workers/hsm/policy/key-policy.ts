/** Sizes of keys from outside, which are those that a request may ask for, and IVs; whatever the cluster's mode. */
import { HsmError } from '../protocol/errors.ts'
import {
  EXPONENT_RULE,
  GENERIC_SECRET_BYTES,
  MIN_PUBLIC_EXPONENT,
  MODULUS_BITS,
  modulusRefusal,
  secretLengthRefusal,
  type SecretType,
} from '../protocol/key-sizes.ts'
import type { Place } from './mechanism-policy.ts'

export type { SecretType } from '../protocol/key-sizes.ts'

export function requireModulus(bits: number): void {
  if (bits >= MODULUS_BITS.min && bits <= MODULUS_BITS.max && bits % MODULUS_BITS.step === 0) return
  throw new HsmError('MechanismInvalid', modulusRefusal(bits))
}

export function requirePublicExponent(exponent: bigint): void {
  if (exponent % 2n === 1n && exponent >= MIN_PUBLIC_EXPONENT && exponent < 1n << 256n) return
  throw new HsmError('MechanismInvalid', EXPONENT_RULE)
}

const ALLOWS: Readonly<Record<SecretType, (length: number) => boolean>> = {
  aes: (length) => length === 16 || length === 24 || length === 32,
  des3: (length) => length === 24,
  'generic-secret': (length) => length >= GENERIC_SECRET_BYTES.min && length <= GENERIC_SECRET_BYTES.max,
}

export function requireSecretLength(type: SecretType, length: number): void {
  if (ALLOWS[type](length)) return
  throw new HsmError('MechanismInvalid', secretLengthRefusal(type, length))
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
