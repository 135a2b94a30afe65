/** The longest data of a request, where it is the HSM that works through it (data-plane reference §4). */
import { HsmError } from '../protocol/errors.ts'

/** Bytes. AES-ECB, AES-CTR, AES-CMAC and 3DES-ECB have no published figure: they take that of CBC. */
export const DATA_CAPS = {
  'hmac-sha1': 16_288,
  'hmac-sha224': 16_256,
  'hmac-sha256': 16_288,
  'hmac-sha384': 16_224,
  'hmac-sha512': 16_224,
  'aes-cmac': 16_272,
  'aes-cbc': 16_272,
  'aes-cbc-pad': 16_272,
  'aes-ecb': 16_272,
  'aes-ctr': 16_272,
  'aes-gcm': 16_224,
  'cloudhsm-aes-gcm': 16_224,
  'des3-ecb': 16_280,
  'des3-cbc': 16_280,
  'des3-cbc-pad': 16_280,
  ed25519: 16_000,
} as const

export type CappedMechanism = keyof typeof DATA_CAPS

/** Throws LimitExceeded when a request brings more than the mechanism takes; `allowance` is for padding, IV and tag. */
export function requireData(mechanism: CappedMechanism, data: Uint8Array, allowance = 0): void {
  const cap = DATA_CAPS[mechanism]
  if (data.length <= cap + allowance) return
  throw new HsmError(
    'LimitExceeded',
    `${mechanism} takes at most ${cap} bytes in one request, not ${data.length} (AWS CloudHSM user guide, Supported mechanisms)`,
  )
}
