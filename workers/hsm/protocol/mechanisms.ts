/**
 * Mechanisms as they travel: hashes, curves, and the parameters of each, by the names of AWS's CLI where it has one
 * (data-plane reference §2.2, §4). Which of them a cluster allows is `policy/mechanism-policy.ts`'s to say.
 */
import { z } from 'zod'
import { bytes } from './values.ts'

/** How an RSA pair may be asked for: CKM_RSA_PKCS_KEY_PAIR_GEN and CKM_RSA_X9_31_KEY_PAIR_GEN. */
export const RSA_PAIR_MECHANISMS = ['rsa-pkcs', 'rsa-x9-31'] as const

/** The CLI's names; `prime256v1` and `secp256r1` are one curve. Ed25519 (RFC 8032) signs only. */
export const CURVES = [
  'prime256v1',
  'secp256r1',
  'secp224r1',
  'secp384r1',
  'secp256k1',
  'secp521r1',
  'ed25519',
] as const
export type CurveId = (typeof CURVES)[number]

/** Curves of ECDSA and ECDH by their standards' names, each once: NIST SP 800-186 §3, SEC 2 §2.4.1. */
export const EC_CURVES = ['P-224', 'P-256', 'P-384', 'P-521', 'secp256k1'] as const

export const HASHES = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const
export type HashName = (typeof HASHES)[number]

/** FIPS 204. */
export const ML_DSA_PARAMETER_SETS = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] as const
export type MlDsaParameterSet = (typeof ML_DSA_PARAMETER_SETS)[number]

/** FIPS 203. Not offered by AWS. */
export const ML_KEM_PARAMETER_SETS = ['ML-KEM-512', 'ML-KEM-768', 'ML-KEM-1024'] as const
export type MlKemParameterSet = (typeof ML_KEM_PARAMETER_SETS)[number]

const hash = z.enum(HASHES)
/** Whether the data is the message or its digest. */
const dataType = z.enum(['raw', 'digest']).default('raw')

/** A message authentication code: sign makes it, verify compares it. Takes a secret key. */
const hmac = z.strictObject({ name: z.literal('hmac'), hash })
/** NIST SP 800-38B. */
const aesCmac = z.strictObject({ name: z.literal('aes-cmac') })

/** Bytes of the longest context string of ML-DSA (FIPS 204 §5.2). */
export const MAX_CONTEXT_BYTES = 255

/** Signature mechanisms. ECDSA signatures are r||s, each as long as the curve's order. */
export const signMechanism = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('rsa-pkcs'), hash, dataType }),
  /** PKCS#1 v1.5 padding of the data as it is, a DigestInfo for instance (CKM_RSA_PKCS, NONEwithRSA). */
  z.strictObject({ name: z.literal('rsa-pkcs-unhashed') }),
  /** RSA without padding (CKM_RSA_X_509): shorter data is led by zeros. */
  z.strictObject({ name: z.literal('rsa-x509') }),
  z.strictObject({
    name: z.literal('rsa-pkcs-pss'),
    hash,
    mgf: hash,
    saltLength: z.number().int().min(0).max(512),
    dataType,
  }),
  z.strictObject({ name: z.literal('ecdsa'), hash, dataType }),
  z.strictObject({ name: z.literal('ed25519') }),
  /** RFC 8032 §5.1 with the message hashed first; `digest`: by the caller, with SHA-512. */
  z.strictObject({ name: z.literal('ed25519ph'), hash: z.literal('sha512').default('sha512'), dataType }),
  /** `external-mu`: the data is the message representative μ, 64 bytes (FIPS 204 algorithm 7, line 6). */
  z.strictObject({
    name: z.literal('ml-dsa'),
    context: bytes(MAX_CONTEXT_BYTES).optional(),
    dataType: z.enum(['raw', 'external-mu']).default('raw'),
  }),
  hmac,
  aesCmac,
])
export type SignMechanism = z.input<typeof signMechanism>

/** What signs data that comes in parts (C_SignUpdate): PSS and PKCS#1 v1.5 hash it, the codes run over it. */
export const signStreamMechanism = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('rsa-pkcs'), hash }),
  z.strictObject({
    name: z.literal('rsa-pkcs-pss'),
    hash,
    mgf: hash,
    saltLength: z.number().int().min(0).max(512),
  }),
  z.strictObject({ name: z.literal('ecdsa'), hash }),
  z.strictObject({ name: z.literal('ed25519ph'), hash: z.literal('sha512').default('sha512') }),
  hmac,
  aesCmac,
])
export type SignStreamMechanism = z.input<typeof signStreamMechanism>

/** Signs the digest of the message just as well as the message: the caller may hash what is long. */
export type DigestSigning = Extract<SignMechanism, { dataType?: 'raw' | 'digest' | undefined }>

export function takesDigest(mechanism: SignMechanism): mechanism is DigestSigning {
  return ['rsa-pkcs', 'rsa-pkcs-pss', 'ecdsa', 'ed25519ph'].includes(mechanism.name)
}

const aesIv = bytes(16, 16)
const desIv = bytes(8, 8)
/** Published cap of the additional data of AES-GCM is that of its data (data-plane §4). */
export const MAX_AAD_BYTES = 16_224
const aad = bytes(MAX_AAD_BYTES).optional()
/** Of SP 800-38D §5.2.1.2; 32 and 64 bits are for wrapping only, where AWS's samples use 64. */
const tagBits = z.union([z.literal(96), z.literal(104), z.literal(112), z.literal(120), z.literal(128)]).default(128)
const wrapTagBits = z
  .union([z.literal(32), z.literal(64), z.literal(96), z.literal(104), z.literal(112), z.literal(120), z.literal(128)])
  .default(128)

/** Bytes of the longest IV that data encrypted elsewhere may have: OpenSSL takes half of what PKCS#11 2.40 §2.11.3 allows. */
export const MAX_GCM_IV_BYTES = 128

/** With an IV in front of the ciphertext, which the HSM makes: CKM_CLOUDHSM_AES_GCM. */
const cloudhsmGcm = z.strictObject({ name: z.literal('cloudhsm-aes-gcm'), aad, tagBits })

/** RSAES-OAEP (RFC 8017 §7.1). `mgf` is the hash of the mask; left out, that of the rest. */
const rsaOaep = z.strictObject({
  name: z.literal('rsa-oaep'),
  hash,
  mgf: hash.optional(),
  label: bytes(1024).optional(),
})
const rsaPkcs = z.strictObject({ name: z.literal('rsa-pkcs') })
const rsaX509 = z.strictObject({ name: z.literal('rsa-x509') })

const blockCiphers = [
  z.strictObject({ name: z.literal('aes-ecb') }),
  z.strictObject({ name: z.literal('aes-cbc'), iv: aesIv }),
  z.strictObject({ name: z.literal('aes-cbc-pad'), iv: aesIv }),
  /** `iv` is the first counter block, whose last `counterBits` count up; running over is refused. */
  z.strictObject({
    name: z.literal('aes-ctr'),
    iv: aesIv,
    counterBits: z.number().int().min(1).max(128).default(128),
  }),
  z.strictObject({ name: z.literal('des3-ecb') }),
  z.strictObject({ name: z.literal('des3-cbc'), iv: desIv }),
  z.strictObject({ name: z.literal('des3-cbc-pad'), iv: desIv }),
] as const

/** What encrypts. The IV of AES-GCM is the HSM's to make, 12 bytes; it comes back in the answer. */
export const encryptMechanism = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('aes-gcm'), aad, tagBits }),
  cloudhsmGcm,
  ...blockCiphers,
  rsaPkcs,
  rsaOaep,
  rsaX509,
])
export type EncryptMechanism = z.input<typeof encryptMechanism>

export const decryptMechanism = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('aes-gcm'), iv: bytes(MAX_GCM_IV_BYTES, 1), aad, tagBits }),
  cloudhsmGcm,
  ...blockCiphers,
  rsaPkcs,
  rsaOaep,
  rsaX509,
])
export type DecryptMechanism = z.input<typeof decryptMechanism>

/** What encrypts and decrypts in parts (PKCS#11 C_EncryptUpdate): AES-GCM and RSA take their data at once. */
export const cipherStreamMechanism = z.discriminatedUnion('name', blockCiphers)
export type CipherStreamMechanism = z.input<typeof cipherStreamMechanism>

/** What encrypts a key with a key: RFC 3394 (no-pad), RFC 5649 (zero-pad), RFC 3394 after PKCS#5 padding, and more. */
const keyWraps = [
  z.strictObject({ name: z.literal('aes-no-pad') }),
  z.strictObject({ name: z.literal('aes-zero-pad') }),
  z.strictObject({ name: z.literal('aes-pkcs5-pad') }),
  z.strictObject({ name: z.literal('cloudhsm-aes-gcm'), aad, tagBits: wrapTagBits }),
  rsaPkcs,
  /** `mgf` must be `hash`, as AWS's CLI asks. */
  rsaOaep,
  /** An AES-256 key of the moment under RSA-OAEP, then the key under it by RFC 5649 (CKM_RSA_AES_KEY_WRAP). */
  z.strictObject({ name: z.literal('rsa-aes'), hash, mgf: hash.optional() }),
] as const

export const wrapMechanism = z.discriminatedUnion('name', [
  ...keyWraps,
  z.strictObject({ name: z.literal('aes-gcm'), aad, tagBits: wrapTagBits }),
])
export type WrapMechanism = z.input<typeof wrapMechanism>

export const unwrapMechanism = z.discriminatedUnion('name', [
  ...keyWraps,
  z.strictObject({ name: z.literal('aes-gcm'), iv: bytes(MAX_GCM_IV_BYTES, 1), aad, tagBits: wrapTagBits }),
  /** Unwrapping only, as in AWS's JCE provider. */
  z.strictObject({ name: z.literal('aes-cbc-pad'), iv: aesIv }),
])
export type UnwrapMechanism = z.input<typeof unwrapMechanism>

/** Bytes of the longest wrapped key: the longest private key there is, and what the mechanisms add. */
export const MAX_WRAPPED_BYTES = 16_384

/** A piece of what SP 800-108 §4.1 feeds its function in each round; the order is the caller's. */
const kdfField = z.discriminatedUnion('field', [
  z.strictObject({
    field: z.literal('counter'),
    bits: z.union([z.literal(8), z.literal(16), z.literal(24), z.literal(32)]),
  }),
  z.strictObject({ field: z.literal('bytes'), value: bytes(4096) }),
  /** [L]: bits of the derived key, big-endian. */
  z.strictObject({
    field: z.literal('length'),
    bits: z.union([z.literal(8), z.literal(16), z.literal(24), z.literal(32), z.literal(64)]),
  }),
])
export type KdfField = z.output<typeof kdfField>

export const deriveMechanism = z.discriminatedUnion('name', [
  /**
   * ECDH with the X9.63 KDF over `hash` (SEC 1 §3.6.1). `publicKey`: the other side's point, uncompressed, bare or in
   * a DER OCTET STRING.
   */
  z.strictObject({
    name: z.literal('ecdh-x963'),
    hash,
    publicKey: bytes(256, 1),
    sharedInfo: bytes(1024).optional(),
  }),
  /** NIST SP 800-108r1 §4.1. `prf`: HMAC takes generic secrets, CMAC an AES key. Exactly one field is a counter. */
  z.strictObject({
    name: z.literal('sp800-108-counter'),
    prf: z.enum(['hmac-sha1', 'hmac-sha224', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512', 'aes-cmac']),
    data: z
      .array(kdfField)
      .min(1)
      .max(16)
      .refine((fields) => fields.filter(({ field }) => field === 'counter').length === 1, 'exactly one field counts'),
  }),
])
export type DeriveMechanism = z.input<typeof deriveMechanism>
