/** Ed25519 and Ed25519ph signatures (RFC 8032). */
import { createHash, sign as cryptoSign, verify as cryptoVerify } from 'node:crypto'
import { HsmError } from '../protocol/errors.ts'
import { requireData } from './data-caps.ts'
import { requireDigestLength } from './digest.ts'
import { signEd25519ph, verifyEd25519ph } from './ed25519ph.ts'
import type { DigestParams, MechanismKey, Signing } from './mechanism.ts'

/** Takes the whole message: the scheme passes over it twice. */
export const ed25519: Signing<object> = {
  name: 'ed25519',
  keyType: 'ec',
  check(_use, key, _params, data) {
    requireEd25519(key)
    requireData('ed25519', data)
  },
  sign: ({ object }, _params, data) => cryptoSign(null, data, object),
  verify: ({ object }, _params, data, signature) => cryptoVerify(null, data, object, signature),
}

export const ed25519ph: Signing<DigestParams> = {
  name: 'ed25519ph',
  keyType: 'ec',
  check(_use, key, params, data) {
    requireEd25519(key)
    requireDigestLength(params, data)
  },
  sign: ({ object }, params, data) => signEd25519ph(object, digestOf(params, data)),
  verify: ({ object }, params, data, signature) => verifyEd25519ph(object, digestOf(params, data), signature),
}

const digestOf = ({ dataType }: DigestParams, data: Uint8Array) =>
  dataType === 'digest' ? data : createHash('sha512').update(data).digest()

function requireEd25519({ curve }: MechanismKey): void {
  if (curve === 'Ed25519') return
  throw new HsmError('MechanismInvalid', `ed25519 takes a key of the curve ed25519, not ${curve ?? 'of none'}`)
}
