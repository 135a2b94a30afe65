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
import { HASHES, type HashName } from '../protocol/mechanisms.ts'
import { numberOfJwk, pairMaterial, type DescribePair } from './describe.ts'
import { DIGEST_INFO_PREFIX, requireDigestLength } from './digest.ts'
import type { DigestParams, MechanismKey, PairMaterial, Place, Signing } from './mechanism.ts'
import { openssl, type RepeatableScheme } from './openssl.ts'
import { encodePss, longestSalt, verifyPss } from './pss-encoding.ts'
import { leftPadded, modulusBitsOf } from './rsa-encryption.ts'

const generate = promisify(generateKeyPair)

/**
 * A pair of at least 2048 bits with an exponent above 2^16. Of those OpenSSL 3 makes every one as FIPS 186-4 B.3.6 says
 * (ossl_rsa_sp800_56b_generate_key): p - 1 and p + 1, and those of q, each have a large prime factor that was chosen
 * first, as ANS X9.31 has it. So it is what `rsa-pkcs` and `rsa-x9-31` both ask for.
 */
export async function generateRsa(modulusBits: number, publicExponent: number): Promise<PairMaterial> {
  const { privateKey } = await generate('rsa', { modulusLength: modulusBits, publicExponent })
  return pairMaterial(privateKey, describeRsa)
}

export const describeRsa: DescribePair = (_spki, publicKey) => {
  const { n, e } = publicKey.export({ format: 'jwk' })
  const modulusBits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0
  return {
    attributes: {
      'key-type': 'rsa',
      'public-exponent': numberOfJwk(e),
      modulus: numberOfJwk(n),
      'modulus-size-bits': modulusBits,
    },
    // Modulus and exponent, each as long as the modulus.
    publicLength: modulusBits / 4,
  }
}

/** A map, since a name that was just read from a frame is found in it without being made one of V8's known names first. */
const SCHEME = new Map(HASHES.map((hash) => [hash, `RSA-PKCS1 ${hash}`] as const))

function schemeOf(hash: HashName): RepeatableScheme {
  const scheme = SCHEME.get(hash)
  if (!scheme) throw new Error(`no hash ${hash}`)
  return scheme
}

export const rsaPkcs: Signing<DigestParams> = {
  name: 'rsa-pkcs',
  keyType: 'rsa',
  check: (_use, _key, params, data) => requireDigestLength(params, data),
  sign({ object: key }, { hash, dataType }, data, place) {
    const input = { key, padding: constants.RSA_PKCS1_PADDING }
    if (dataType === 'digest') {
      return openssl()?.sign(schemeOf(hash), key, data) ?? privateEncrypt(input, digestInfo(hash, data))
    }
    return signAt(place, hash, data, input)
  },
  signLater({ object: key }, { hash, dataType }, data, place) {
    if (place === 'pool' || dataType === 'digest') return undefined
    return openssl()?.signMessageLater(schemeOf(hash), key, hash, data, (made) => Buffer.from(made))
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

/** PKCS#1 v1.5 padding of the data as it is, at most 11 bytes shorter than the modulus (RFC 8017 §9.2). */
export const rsaPkcsUnhashed: Signing<object> = {
  name: 'rsa-pkcs-unhashed',
  keyType: 'rsa',
  check(_use, key, _params, data) {
    const longest = modulusBitsOf(key) / 8 - 11
    if (data.length > longest) {
      throw new HsmError('InvalidRequest', `rsa-pkcs-unhashed signs at most ${longest} bytes, not ${data.length}`)
    }
  },
  sign: ({ object: key }, _params, data) => privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, data),
  verify({ object: key }, _params, data, signature) {
    const recovered = recover(() => publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature))
    return recovered?.length === data.length && timingSafeEqual(recovered, data)
  },
}

/** RSA without padding (CKM_RSA_X_509). */
export const rsaX509: Signing<object> = {
  name: 'rsa-x509',
  keyType: 'rsa',
  check(_use, key, _params, data) {
    const modulus = modulusBitsOf(key) / 8
    if (data.length > modulus) {
      throw new HsmError('InvalidRequest', `rsa-x509 signs at most ${modulus} bytes, not ${data.length}`)
    }
  },
  sign(key, _params, data) {
    try {
      const block = leftPadded(data, modulusBitsOf(key) / 8)
      return privateEncrypt({ key: key.object, padding: constants.RSA_NO_PADDING }, block)
    } catch (cause) {
      throw new HsmError('InvalidRequest', 'the data, read as a number, is not below the modulus', { cause })
    }
  },
  verify(key, _params, data, signature) {
    const block = recover(() => publicDecrypt({ key: key.object, padding: constants.RSA_NO_PADDING }, signature))
    const expected = leftPadded(data, modulusBitsOf(key) / 8)
    return block?.length === expected.length && timingSafeEqual(block, expected)
  },
}

const pssInput = (key: MechanismKey, { saltLength }: RsaPssParams) => ({
  key: key.object,
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength,
})

const digestInfo = (hash: HashName, digest: Uint8Array) => Buffer.concat([DIGEST_INFO_PREFIX[hash], digest])

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
