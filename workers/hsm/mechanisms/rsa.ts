/** RSA: key pairs of 2048 to 4096 bits, PKCS#1 v1.5 and PSS signatures (RFC 8017). */
import {
  constants,
  generateKeyPair,
  privateEncrypt,
  publicDecrypt,
  sign as cryptoSign,
  timingSafeEqual,
  verify as cryptoVerify,
  type SignKeyObjectInput,
} from 'node:crypto'
import { promisify } from 'node:util'
import { HsmError } from '../protocol/errors.ts'
import type { HashName } from '../protocol/mechanisms.ts'
import { numberOfJwk, pairMaterial } from './describe.ts'
import { DIGEST_INFO_PREFIX, requireDigestLength } from './digest.ts'
import type { DigestParams, MechanismKey, PairMaterial, Place, Signing } from './mechanism.ts'
import { encodePss, longestSalt, verifyPss } from './pss-encoding.ts'

const generate = promisify(generateKeyPair)

export async function generateRsa(modulusBits: number, publicExponent: number): Promise<PairMaterial> {
  const { privateKey } = await generate('rsa', { modulusLength: modulusBits, publicExponent })
  return pairMaterial('rsa', privateKey, (_spki, publicKey) => {
    const { n, e } = publicKey.export({ format: 'jwk' })
    return {
      attributes: { 'public-exponent': numberOfJwk(e), modulus: numberOfJwk(n), 'modulus-size-bits': modulusBits },
      // Modulus and exponent, each as long as the modulus.
      publicLength: modulusBits / 4,
    }
  })
}

export const rsaPkcs: Signing<DigestParams> = {
  name: 'rsa-pkcs',
  keyType: 'rsa',
  check: (_use, _key, params, data) => requireDigestLength(params, data),
  sign({ object: key }, { hash, dataType }, data, place) {
    if (dataType === 'digest') {
      return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(hash, data))
    }
    return signAt(place, hash, data, { key, padding: constants.RSA_PKCS1_PADDING })
  },
  verify({ object: key }, { hash, dataType }, data, signature, place) {
    if (dataType === 'digest') {
      const recovered = recover(() => publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature))
      const expected = digestInfo(hash, data)
      return recovered?.length === expected.length && timingSafeEqual(recovered, expected)
    }
    return verifyAt(place, hash, data, { key, padding: constants.RSA_PKCS1_PADDING }, signature)
  },
}

export interface RsaPssParams extends DigestParams {
  readonly mgf: HashName
  readonly saltLength: number
}

export const rsaPkcsPss: Signing<RsaPssParams> = {
  name: 'rsa-pkcs-pss',
  keyType: 'rsa',
  check(_use, key, params, data) {
    requireDigestLength(params, data)
    if (params.mgf !== params.hash) {
      throw new HsmError('MechanismInvalid', `the hash of the mask (mgf1-${params.mgf}) must be that of the signature`)
    }
    const longest = longestSalt(modulusBitsOf(key), params.hash)
    if (params.saltLength > longest) {
      throw new HsmError('MechanismInvalid', `a salt of ${params.saltLength} bytes does not fit: at most ${longest}`)
    }
  },
  sign(key, params, data, place) {
    if (params.dataType === 'digest') {
      const block = encodePss(data, params, modulusBitsOf(key))
      return privateEncrypt({ key: key.object, padding: constants.RSA_NO_PADDING }, block)
    }
    return signAt(place, params.hash, data, pssInput(key, params))
  },
  verify(key, params, data, signature, place) {
    if (params.dataType === 'digest') {
      const block = recover(() => publicDecrypt({ key: key.object, padding: constants.RSA_NO_PADDING }, signature))
      return block !== undefined && verifyPss(block, data, params, modulusBitsOf(key))
    }
    return verifyAt(place, params.hash, data, pssInput(key, params), signature)
  },
}

const pssInput = (key: MechanismKey, { saltLength }: RsaPssParams) => ({
  key: key.object,
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength,
})

const digestInfo = (hash: HashName, digest: Uint8Array) => Buffer.concat([DIGEST_INFO_PREFIX[hash], digest])

function modulusBitsOf({ modulusBits }: MechanismKey): number {
  if (modulusBits === undefined) throw new Error('an RSA key has a modulus')
  return modulusBits
}

/** What a signature was made of; nothing when it is none under this key, whatever is wrong with it. */
function recover(decrypt: () => Buffer): Buffer | undefined {
  try {
    return decrypt()
  } catch {
    return undefined
  }
}

function signAt(place: Place, hash: HashName, data: Uint8Array, key: SignKeyObjectInput): Buffer | Promise<Buffer> {
  if (place === 'inline') return cryptoSign(hash, data, key)
  return new Promise((resolve, reject) => {
    cryptoSign(hash, data, key, (error, signature) => (error ? reject(error) : resolve(signature)))
  })
}

function verifyAt(
  place: Place,
  hash: HashName,
  data: Uint8Array,
  key: SignKeyObjectInput,
  signature: Uint8Array,
): boolean | Promise<boolean> {
  if (place === 'inline') return cryptoVerify(hash, data, key, signature)
  return new Promise((resolve, reject) => {
    cryptoVerify(hash, data, key, signature, (error, valid) => (error ? reject(error) : resolve(valid)))
  })
}
