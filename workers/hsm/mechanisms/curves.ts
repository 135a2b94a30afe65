/** Elliptic curves: what each is called, how wide it is, and what a key on it looks like in DER. */
import type { CurveName } from '../policy/modes.ts'
import { CURVES, EC_CURVES, type CurveId } from '../protocol/mechanisms.ts'

/** A curve that a key may be on. */
export type KeyCurve = CurveName | 'Ed25519'

interface Curve {
  /** OpenSSL's name. */
  readonly openssl: string
  /** Bytes of a coordinate, and of an integer modulo the order. */
  readonly bytes: number
  /** SubjectPublicKeyInfo of a key on the named curve, up to its point (RFC 5480 §2). */
  readonly spkiPrefix: Buffer
  /** The same before a compressed point. */
  readonly compressedPrefix: Buffer
}

/** `oid`: DER of the named curve's object identifier. */
function curve(openssl: string, bytes: number, oid: string): Curve {
  const prefix = (point: number) => {
    const algorithm = sequence(Buffer.from(`06072a8648ce3d0201${oid}`, 'hex'))
    const header = Buffer.concat([algorithm, tagged(0x03, point + 1), Buffer.alloc(1)])
    return Buffer.concat([tagged(0x30, header.length + point), header])
  }
  return { openssl, bytes, spkiPrefix: prefix(2 * bytes + 1), compressedPrefix: prefix(bytes + 1) }
}

const sequence = (content: Buffer) => Buffer.concat([tagged(0x30, content.length), content])

/** A DER tag and a length below 256. */
const tagged = (tag: number, length: number) => Buffer.from(length < 128 ? [tag, length] : [tag, 0x81, length])

export const CURVE = {
  'P-224': curve('secp224r1', 28, '06052b81040021'),
  'P-256': curve('prime256v1', 32, '06082a8648ce3d030107'),
  'P-384': curve('secp384r1', 48, '06052b81040022'),
  'P-521': curve('secp521r1', 66, '06052b81040023'),
  secp256k1: curve('secp256k1', 32, '06052b8104000a'),
} as const satisfies Record<CurveName, Curve>

/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410 §4). */
export const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

const CURVE_OF = {
  prime256v1: 'P-256',
  secp256r1: 'P-256',
  secp224r1: 'P-224',
  secp384r1: 'P-384',
  secp256k1: 'secp256k1',
  secp521r1: 'P-521',
  ed25519: 'Ed25519',
} as const satisfies Record<CurveId, KeyCurve>

/** The name that the attribute `curve` of a key brought in gets. */
export const CURVE_ID = {
  'P-224': 'secp224r1',
  'P-256': 'prime256v1',
  'P-384': 'secp384r1',
  'P-521': 'secp521r1',
  secp256k1: 'secp256k1',
  Ed25519: 'ed25519',
} as const satisfies Record<KeyCurve, CurveId>

export const curveNamed = (id: CurveId): KeyCurve => CURVE_OF[id]

/** The curve behind the attribute `curve` of a key. */
export function curveOf(id: string | undefined): KeyCurve {
  const known = CURVES.find((name) => name === id)
  if (!known) throw new Error(`no such curve: ${id ?? 'none'}`)
  return CURVE_OF[known]
}

/** Bytes of an uncompressed point: 0x04, x, y. */
export const pointBytes = (curve: CurveName): number => 2 * CURVE[curve].bytes + 1

/** The curve of a SubjectPublicKeyInfo that has an uncompressed point on a named curve; nothing for any other. */
export function curveOfSpki(spki: Buffer): CurveName | undefined {
  return EC_CURVES.find((name) => {
    const { spkiPrefix } = CURVE[name]
    return (
      spki.length === spkiPrefix.length + pointBytes(name) &&
      spki.subarray(0, spkiPrefix.length).equals(spkiPrefix) &&
      spki[spkiPrefix.length] === 4
    )
  })
}
