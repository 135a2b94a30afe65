/** Elliptic curves P-256 and P-384: key pairs and ECDSA signatures as r||s (FIPS 186-5). */
import {
  generateKeyPair,
  sign as cryptoSign,
  verify as cryptoVerify,
  type KeyObject,
  type SignKeyObjectInput,
} from 'node:crypto'
import { promisify } from 'node:util'
import { requireEcdsaDigest, type CurveName } from '../policy/modes.ts'
import { CURVES } from '../protocol/mechanisms.ts'
import { pairMaterial } from './describe.ts'
import { requireDigestLength } from './digest.ts'
import { signDigest, verifyDigest } from './ecdsa-digest.ts'
import type { DigestParams, MechanismKey, PairMaterial, Signing } from './mechanism.ts'

const generate = promisify(generateKeyPair)

type CurveId = (typeof CURVES)[number]

/** The CLI's names of curves; P-256 has two. */
const CURVE_OF = {
  prime256v1: 'P-256',
  secp256r1: 'P-256',
  secp384r1: 'P-384',
} as const satisfies Record<CurveId, CurveName>

/** Bytes of an uncompressed point: 0x04, x, y. */
const POINT_BYTES = { 'P-256': 65, 'P-384': 97 } as const satisfies Record<CurveName, number>

const COORDINATE_BYTES = { 'P-256': 32, 'P-384': 48 } as const satisfies Record<CurveName, number>

/** The curve behind the attribute `curve` of a key. */
export function curveOf(id: string | undefined): CurveName {
  const known = CURVES.find((name) => name === id)
  if (!known) throw new Error(`no such curve: ${id ?? 'none'}`)
  return CURVE_OF[known]
}

export async function generateEc(curve: CurveId): Promise<PairMaterial> {
  const name = CURVE_OF[curve]
  const { privateKey } = await generate('ec', { namedCurve: name })
  return pairMaterial('ec', privateKey, (spki) => ({
    attributes: { 'ec-point': `0x${pointOf(spki, name).toString('hex')}`, curve },
    publicLength: POINT_BYTES[name],
  }))
}

/** The point ends a SubjectPublicKeyInfo (RFC 5480 §2). */
const pointOf = (spki: Buffer, curve: CurveName) => spki.subarray(spki.length - POINT_BYTES[curve])

/** Always inline: a signature takes 0.03 ms, the way to libuv's threads and back as long. */
export const ecdsa: Signing<DigestParams> = {
  name: 'ecdsa',
  keyType: 'ec',
  check(use, key, params, data, mode) {
    requireDigestLength(params, data)
    if (use === 'sign') requireEcdsaDigest(mode, params.hash, curveOfKey(key))
  },
  sign(key, { hash, dataType }, data) {
    if (dataType === 'digest') return signDigest(curveOfKey(key), key.object, data)
    return fixedWidth(cryptoSign(hash, data, key.object), COORDINATE_BYTES[curveOfKey(key)])
  },
  verify(key, { hash, dataType }, data, signature) {
    if (dataType === 'raw') return cryptoVerify(hash, data, rs(key.object), signature)
    const curve = curveOfKey(key)
    const point = pointOf(key.object.export({ type: 'spki', format: 'der' }), curve)
    return verifyDigest(curve, point, data, signature)
  },
}

/**
 * r||s from SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 §2.2.3), which on these curves is shorter than 128 bytes. Node's
 * own conversion (`dsaEncoding`) costs 8% of a P-256 signature.
 */
function fixedWidth(der: Buffer, width: number): Buffer {
  const signature = Buffer.alloc(2 * width)
  const rEnd = 4 + der.readUInt8(3)
  putInteger(der.subarray(4, rEnd), signature, width)
  putInteger(der.subarray(rEnd + 2), signature, 2 * width)
  return signature
}

/** An integer, with or without its leading zero, so that it ends at `end`. */
function putInteger(integer: Buffer, target: Buffer, end: number): void {
  const zero = integer[0] === 0 ? 1 : 0
  integer.copy(target, end - integer.length + zero, zero)
}

const rs = (key: KeyObject): SignKeyObjectInput => ({ key, dsaEncoding: 'ieee-p1363' })

function curveOfKey({ curve }: MechanismKey): CurveName {
  if (!curve) throw new Error('an EC key has a curve')
  return curve
}
