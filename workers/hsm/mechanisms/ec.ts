/** Elliptic curves: key pairs, and ECDSA signatures as r||s (FIPS 186-5). */
import {
  generateKeyPair,
  sign as cryptoSign,
  verify as cryptoVerify,
  type KeyObject,
  type SignKeyObjectInput,
} from 'node:crypto'
import { promisify } from 'node:util'
import { requireEcdsaDigest, type CurveName } from '../policy/modes.ts'
import { HsmError } from '../protocol/errors.ts'
import type { CurveId } from '../protocol/mechanisms.ts'
import { CURVE, curveNamed } from './curves.ts'
import { pairMaterial } from './describe.ts'
import { describeEc } from './describe-ec.ts'
import { requireDigestLength } from './digest.ts'
import { signDigest, verifyDigest } from './ecdsa-digest.ts'
import { fixedWidth } from './ecdsa-signature.ts'
import { openssl } from './openssl.ts'
import type { DigestParams, MechanismKey, PairMaterial, Signing } from './mechanism.ts'

const generate = promisify(generateKeyPair)

/** On a curve of the CLI's names, Ed25519 included. */
export async function generateEc(id: CurveId): Promise<PairMaterial> {
  const curve = curveNamed(id)
  const { privateKey } =
    curve === 'Ed25519'
      ? await promisify(generateKeyPair)('ed25519')
      : await generate('ec', { namedCurve: CURVE[curve].openssl })
  return pairMaterial(privateKey, describeEc(curve, id))
}

/** Always inline: a signature takes 0.03 ms, the way to libuv's threads and back as long. */
export const ecdsa: Signing<DigestParams> = {
  name: 'ecdsa',
  keyType: 'ec',
  check(use, key, params, data, mode) {
    requireDigestLength(params, data)
    const curve = curveOfKey(key)
    if (use === 'sign') requireEcdsaDigest(mode, params.hash, curve)
  },
  sign(key, { hash, dataType }, data) {
    const curve = curveOfKey(key)
    if (dataType === 'digest') return signDigest(curve, key.object, data)
    return fixedWidth(cryptoSign(hash, data, key.object), CURVE[curve].bytes)
  },
  signLater(key, { hash, dataType }, data) {
    const { bytes } = CURVE[curveOfKey(key)]
    if (dataType === 'digest') return undefined
    return openssl()?.signMessageLater('ECDSA', key.object, hash, data, (der) => fixedWidth(der, bytes))
  },
  verify(key, { hash, dataType }, data, signature) {
    if (dataType === 'raw') return cryptoVerify(hash, data, rs(key.object), signature)
    return verifyDigest(curveOfKey(key), key.object, data, signature)
  },
}

const rs = (key: KeyObject): SignKeyObjectInput => ({ key, dsaEncoding: 'ieee-p1363' })

function curveOfKey({ curve }: MechanismKey): CurveName {
  if (!curve) throw new Error('an EC key has a curve')
  if (curve === 'Ed25519') throw new HsmError('MechanismInvalid', 'ecdsa takes no Ed25519 key: sign with ed25519')
  return curve
}
