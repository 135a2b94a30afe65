/**
 * Every Wycheproof file that is run: how, and what is decided where the vectors leave a choice. `acceptable` says by flag
 * what this HSM does and why; `skipped` how many vectors do not apply, by reason. A vector in neither fails the test.
 */
import type { HashName } from '../../protocol/mechanisms.ts'
import {
  bitsOf,
  cbcPad,
  ecdh,
  ecdsaDer,
  gcm,
  keyWrap,
  LONG_IV,
  mac,
  mlDsaSign,
  mlDsaVerify,
  oaep,
  rsaPkcs1,
  signed,
  type Run,
} from './vector-runs.ts'

export interface Decision {
  readonly outcome: 'accepted' | 'refused'
  readonly why: string
}

export interface VectorFile {
  readonly run: Run
  /** Vectors in the file. */
  readonly count: number
  readonly acceptable?: Readonly<Record<string, Decision>>
  readonly skipped?: Readonly<Record<string, number>>
  /** Flags of vectors that are outside what the HSM takes by policy, and why: they are refused, and do not apply. */
  readonly outside?: Readonly<Record<string, string>>
}

const SMALL_EXPONENT = 'a public exponent is at least 65537 (FIPS 186-5 section 5.4)'

const hmac = (hash: HashName, count: number, cut: number): VectorFile => ({
  run: mac('generic-secret', { name: 'hmac', hash }, bitsOf(hash)),
  count,
  skipped: { 'the code is cut short': cut },
})

const ecdsa = (hash: HashName, count: number): VectorFile => ({
  run: signed('ec', () => ({ name: 'ecdsa', hash })),
  count,
})

const pkcs = (hash: HashName, count: number, smallExponents = 0): VectorFile => ({
  run: signed('rsa', () => ({ name: 'rsa-pkcs', hash })),
  count,
  ...(smallExponents > 0 && {
    outside: { SmallPublicKey: SMALL_EXPONENT },
    skipped: { [SMALL_EXPONENT]: smallExponents },
  }),
  acceptable: { MissingNull: { outcome: 'refused', why: 'RFC 8017 appendix A.2.4 has the NULL' } },
})

const pss = (hash: HashName, count: number): VectorFile => ({
  run: signed('rsa', ({ sLen = 0 }) => ({ name: 'rsa-pkcs-pss', hash, mgf: hash, saltLength: sLen })),
  count,
})

const explicit: Decision = { outcome: 'refused', why: 'explicit curve parameters are refused (CVE-2020-0601)' }
const ECDH_DECISIONS: VectorFile['acceptable'] = {
  CompressedPublic: { outcome: 'accepted', why: 'a compressed point is written out' },
  UnnamedCurve: explicit,
  InvalidAsn: { outcome: 'refused', why: 'only DER gets in, whole and canonical' },
}

export const VECTOR_FILES = {
  'aes_cbc_pkcs5_test.json': { run: cbcPad, count: 216 },
  'aes_cmac_test.json': { run: mac('aes', { name: 'aes-cmac' }, 128), count: 311 },
  'aes_gcm_test.json': { run: gcm, count: 316, skipped: { [LONG_IV]: 3 } },
  'aes_kwp_test.json': { run: keyWrap('aes-zero-pad'), count: 254 },
  'aes_wrap_test.json': {
    run: keyWrap('aes-no-pad'),
    count: 165,
    acceptable: { ShortKey: { outcome: 'refused', why: 'RFC 3394 section 2 wraps two blocks at least' } },
  },
  'ecdh_secp256r1_test.json': { run: ecdh('P-256'), count: 612, acceptable: ECDH_DECISIONS },
  'ecdh_secp384r1_test.json': { run: ecdh('P-384'), count: 1047, acceptable: ECDH_DECISIONS },
  'ecdsa_secp224r1_sha256_p1363_test.json': ecdsa('sha256', 258),
  'ecdsa_secp256k1_sha256_p1363_test.json': ecdsa('sha256', 252),
  'ecdsa_secp256r1_sha256_p1363_test.json': ecdsa('sha256', 262),
  'ecdsa_secp256r1_sha256_test.json': {
    run: ecdsaDer('P-256', 'sha256'),
    count: 484,
    skipped: { 'the signature is not DER of two numbers that fit r||s': 235 },
  },
  'ecdsa_secp384r1_sha384_p1363_test.json': ecdsa('sha384', 280),
  'ecdsa_secp521r1_sha512_p1363_test.json': ecdsa('sha512', 318),
  'ed25519_test.json': { run: signed('ec', () => ({ name: 'ed25519' })), count: 151 },
  'hmac_sha1_test.json': hmac('sha1', 170, 83),
  'hmac_sha256_test.json': hmac('sha256', 174, 87),
  'hmac_sha384_test.json': hmac('sha384', 174, 87),
  'hmac_sha512_test.json': hmac('sha512', 174, 87),
  'mldsa_44_sign_seed_test.json': { run: mlDsaSign, count: 86 },
  'mldsa_44_verify_test.json': { run: mlDsaVerify, count: 180 },
  'mldsa_65_verify_test.json': { run: mlDsaVerify, count: 210 },
  'mldsa_87_verify_test.json': { run: mlDsaVerify, count: 241 },
  'rsa_oaep_2048_sha1_mgf1sha1_test.json': { run: oaep('sha1'), count: 36 },
  'rsa_oaep_2048_sha256_mgf1sha256_test.json': { run: oaep('sha256'), count: 37 },
  'rsa_pkcs1_2048_test.json': { run: rsaPkcs1, count: 67 },
  'rsa_pss_2048_sha256_mgf1_32_test.json': pss('sha256', 108),
  'rsa_pss_4096_sha512_mgf1_32_test.json': pss('sha512', 177),
  'rsa_signature_2048_sha256_test.json': pkcs('sha256', 259, 2),
  'rsa_signature_3072_sha256_test.json': pkcs('sha256', 259, 1),
  'rsa_signature_4096_sha512_test.json': pkcs('sha512', 259),
} as const satisfies Readonly<Record<string, VectorFile>>
