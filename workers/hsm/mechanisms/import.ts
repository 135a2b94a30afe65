/** Keys that come from outside, were unwrapped or derived: their bytes are looked at before they become a key. */
import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { requirePublicExponent } from '../policy/key-policy.ts'
import { requireAllowedSize, type Place } from '../policy/mechanism-policy.ts'
import type { Origin } from '../policy/policy-table.ts'
import { HsmError } from '../protocol/errors.ts'
import type { CurveId } from '../protocol/mechanisms.ts'
import type { KeyClass } from '../vault/attributes.ts'
import { curveNamed, curveOfSpki, type KeyCurve } from './curves.ts'
import { privateMaterial, publicMaterial, secretMaterial, type DescribePair } from './describe.ts'
import { describeEc } from './describe-ec.ts'
import { publicKeyOfSpki, unknownCurve } from './import-public.ts'
import type { KeyMaterial, KeyType } from './mechanism.ts'
import { describeMlDsa, describeMlKem } from './post-quantum.ts'
import { describeRsa } from './rsa.ts'
import { requireSoundRsa } from './rsa-numbers.ts'

export interface ImportRequest extends Place {
  readonly class: KeyClass
  readonly type: KeyType
  /** How the bytes came here, which the policy tells apart; from outside as they are when left out. */
  readonly origin?: Exclude<Origin, 'generate'>
  /** EC only: the curve the key must be on; any that the HSM has when left out. */
  readonly curve?: CurveId | undefined
}

/**
 * The material of a key in its stored form: a secret key's bytes, PKCS#8 or SubjectPublicKeyInfo in DER. The bytes are
 * copied; the caller wipes its own. Throws MechanismInvalid for a size, curve or type that the cluster does not take,
 * and InvalidRequest for what is not such a key at all.
 */
export function importMaterial(request: ImportRequest, bytes: Uint8Array): KeyMaterial {
  const { class: keyClass, type, origin = 'import' } = request
  if (type === 'aes' || type === 'des3' || type === 'generic-secret') {
    if (keyClass !== 'secret-key') throw mismatch(request)
    requireAllowedSize(type, origin, bytes.length, request)
    return secretMaterial(type, Buffer.from(bytes))
  }
  if (keyClass === 'secret-key') throw mismatch(request)
  const key = keyClass === 'public-key' ? publicKeyOfSpki(bytes) : privateKeyOfPkcs8(bytes)
  const describe = examine(request, key)
  return keyClass === 'public-key' ? publicMaterial(key, describe) : privateMaterial(key, describe)
}

/** Throws unless the key is what was announced and the cluster takes it; gives what describes it. */
function examine(request: ImportRequest, key: KeyObject): DescribePair {
  const { type, origin = 'import' } = request
  const actual = key.asymmetricKeyType ?? ''
  switch (type) {
    case 'rsa': {
      if (actual !== 'rsa') throw other(request, actual)
      requireAllowedSize('rsa', origin, key.asymmetricKeyDetails?.modulusLength ?? 0, request)
      requirePublicExponent(key.asymmetricKeyDetails?.publicExponent ?? 0n)
      requireSoundRsa(key)
      requireConsistent(key)
      return describeRsa
    }
    case 'ec': {
      const curve = curveOfKey(key)
      if (!curve) throw actual === 'ec' ? unknownCurve() : other(request, actual)
      requireAllowedSize(curve === 'Ed25519' ? 'ed25519' : 'ec', origin, curve, request)
      if (request.curve !== undefined && curveNamed(request.curve) !== curve) throw other(request, curve)
      requireConsistent(key)
      return describeEc(curve, request.curve)
    }
    case 'ml-dsa':
      if (!actual.startsWith('ml-dsa-')) throw other(request, actual)
      requireAllowedSize('ml-dsa', origin, actual.toUpperCase(), request)
      requireConsistent(key)
      return describeMlDsa
    case 'ml-kem':
      if (!actual.startsWith('ml-kem-')) throw other(request, actual)
      requireAllowedSize('ml-kem', origin, actual.toUpperCase(), request)
      return describeMlKem
    default:
      throw mismatch(request)
  }
}

function curveOfKey(key: KeyObject): KeyCurve | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'Ed25519'
  if (key.asymmetricKeyType !== 'ec') return undefined
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return curveOfSpki(publicKey.export({ type: 'spki', format: 'der' }))
}

/**
 * A private key whose halves do not belong together would sign what nobody can verify, or leak itself (FIPS 140-3
 * pair-wise consistency). Public keys pass.
 */
function requireConsistent(key: KeyObject): void {
  if (key.type !== 'private') return
  const digest = key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'ec' ? 'sha256' : null
  const message = Buffer.from('pair-wise consistency')
  try {
    if (verify(digest, message, createPublicKey(key), sign(digest, message, key))) return
  } catch (cause) {
    throw new HsmError('InvalidRequest', 'the private key does not work', { cause })
  }
  throw new HsmError('InvalidRequest', 'the private and the public half in the key do not belong together')
}

function privateKeyOfPkcs8(bytes: Uint8Array): KeyObject {
  const key = Buffer.from(bytes)
  try {
    if (!isWholeSequence(key)) throw new Error('more or less than one DER SEQUENCE')
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  } catch (cause) {
    throw new HsmError('InvalidRequest', 'the data is not a private key in DER of PKCS#8', { cause })
  } finally {
    key.fill(0)
  }
}

/** Whether the bytes are one DER SEQUENCE from end to end: OpenSSL does not look behind it. */
function isWholeSequence(der: Buffer): boolean {
  if (der.length < 4 || der[0] !== 0x30) return false
  const first = der.readUInt8(1)
  if (first < 0x80) return der.length === 2 + first
  const octets = first & 0x7f
  return octets >= 1 && octets <= 3 && der.length === 2 + octets + der.readUIntBE(2, octets)
}

const mismatch = ({ class: keyClass, type }: ImportRequest) =>
  new HsmError('InvalidRequest', `there is no ${keyClass} of type ${type}`)

const other = ({ type, curve }: ImportRequest, actual: string) =>
  new HsmError('InvalidRequest', `the key is not ${curve ?? type} but ${actual === '' ? 'of another kind' : actual}`)
