/** Public keys from outside: only whole, canonical DER of a known algorithm and curve gets in. */
import { createPublicKey, ECDH, type KeyObject } from 'node:crypto'
import type { CurveName } from '../policy/modes.ts'
import { HsmError } from '../protocol/errors.ts'
import { EC_SIZES } from '../protocol/key-sizes.ts'
import { EC_CURVES } from '../protocol/mechanisms.ts'
import { CURVE, curveOfSpki, pointBytes } from './curves.ts'

/** The key of an uncompressed point. Throws InvalidRequest for what is no point of the curve. */
export function publicKeyOfPoint(curve: CurveName, point: Uint8Array): KeyObject {
  if (point.length !== pointBytes(curve) || point[0] !== 4) {
    throw new HsmError(
      'InvalidRequest',
      `a public key on ${curve} is an uncompressed point of ${pointBytes(curve)} bytes`,
    )
  }
  return parsed(Buffer.concat([CURVE[curve].spkiPrefix, point]))
}

/**
 * The key in a DER SubjectPublicKeyInfo. A compressed point is written out; explicit curve parameters are refused
 * (CVE-2020-0601). Throws InvalidRequest.
 */
export function publicKeyOfSpki(bytes: Uint8Array): KeyObject {
  const key = parsed(Buffer.from(bytes))
  const spki = written(key)
  if (!spki.equals(bytes)) {
    throw new HsmError('InvalidRequest', 'the data is not one SubjectPublicKeyInfo in DER from end to end')
  }
  return key.asymmetricKeyType !== 'ec' || curveOfSpki(spki) ? key : ofCompressed(spki)
}

function ofCompressed(spki: Buffer): KeyObject {
  const name = EC_CURVES.find((known) =>
    spki.subarray(0, -CURVE[known].bytes - 1).equals(CURVE[known].compressedPrefix),
  )
  if (!name) throw unknownCurve()
  const { openssl, bytes, spkiPrefix } = CURVE[name]
  const point = ECDH.convertKey(spki.subarray(-bytes - 1), openssl, undefined, undefined, 'uncompressed')
  if (typeof point === 'string') throw new Error('a point without an encoding is bytes')
  return parsed(Buffer.concat([spkiPrefix, point]))
}

/** Of explicit parameters, too. */
export const unknownCurve = () =>
  new HsmError('MechanismInvalid', `the key is not on a curve that this HSM has, by its name: ${EC_SIZES.rule}`)

function parsed(der: Buffer): KeyObject {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch (cause) {
    throw noKey(cause)
  }
}

/** OpenSSL reads the point at infinity, and does not write it. */
function written(key: KeyObject): Buffer {
  try {
    return key.export({ type: 'spki', format: 'der' })
  } catch (cause) {
    throw noKey(cause)
  }
}

const noKey = (cause: unknown) =>
  new HsmError('InvalidRequest', 'the data is not a public key, or its point is not on the curve', { cause })
