/** What of a key is no size, and of an IV; whatever the cluster's mode. */
import { HsmError } from '../protocol/errors.ts'
import { EXPONENT_RULE, MIN_PUBLIC_EXPONENT } from '../protocol/key-sizes.ts'
import type { Place } from './mechanism-policy.ts'

export function requirePublicExponent(exponent: bigint): void {
  if (exponent % 2n === 1n && exponent >= MIN_PUBLIC_EXPONENT && exponent < 1n << 256n) return
  throw new HsmError('MechanismInvalid', EXPONENT_RULE)
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
