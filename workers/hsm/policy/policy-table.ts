/**
 * What a cluster allows: mechanism × operation × size of the key × mode × HSM type, one table, each row with its rule and
 * its source. What no row names is refused.
 *
 * FIPS mode is an algorithm policy of this software; it is not a certificate.
 */
import { CLUSTER_MODES, HSM_TYPES, type ClusterMode, type HsmType } from '../../../provider-schema/limits.ts'
import {
  AES_SIZES,
  DERIVED_SIZES,
  DES3_SIZES,
  EC_SIZES,
  ED25519_SIZES,
  GENERIC_SIZES,
  ML_DSA_SIZES,
  ML_KEM_SIZES,
  RSA_SIZES,
  type KeySizes,
} from '../protocol/key-sizes.ts'

/**
 * The ways in which a key comes into being are `generate`, `import`, `unwrap` and `derive`, in rows that name a type of
 * key (`ORIGINS`); in rows that name a mechanism, `unwrap` and `derive` are what the key in use does.
 */
export const POLICY_OPERATIONS = [
  'generate',
  'import',
  'sign',
  'verify',
  'encrypt',
  'decrypt',
  'wrap',
  'unwrap',
  'derive',
  'encapsulate',
  'decapsulate',
  'digest',
] as const
export type PolicyOperation = (typeof POLICY_OPERATIONS)[number]

export const ORIGINS = ['generate', 'import', 'unwrap', 'derive'] as const satisfies readonly PolicyOperation[]
export type Origin = (typeof ORIGINS)[number]

export interface PolicyRow {
  /** Or types of keys. */
  readonly mechanisms: readonly string[]
  readonly operations: readonly PolicyOperation[]
  /**
   * The keys that come into being, or that are used: every size of any of these. Digests have none.
   *
   * Sizes are enforced where keys come into being, on every way into the HSM. A key that is there has one, and each
   * mechanism takes all that its type of key may have on that cluster: what was legal when it was made is legal when it is
   * used, so that a signature need not ask again. A test holds the rows to that.
   */
  readonly keys: readonly KeySizes[]
  /** In FIPS mode, the digests that may be signed: `modes.ts`. All where left out. */
  readonly fipsDigests?: 'at least as strong as the key'
  /** Where it is allowed. */
  readonly modes: readonly ClusterMode[]
  readonly hsmTypes: readonly HsmType[]
  /** Why not elsewhere; told to who asks. */
  readonly rule: string
  readonly source: string
}

export const NON_FIPS_RULE = 'NON_FIPS is a mode of hsm2m.medium only'
export const MODES_PAGE = 'AWS CloudHSM user guide, Cluster modes'
export const TABLE_PAGE = 'AWS CloudHSM user guide, Supported mechanisms for the PKCS #11 library'
const DEPRECATIONS = 'AWS CloudHSM user guide, deprecation notifications'

const ANYWHERE = { modes: CLUSTER_MODES, hsmTypes: HSM_TYPES, rule: NON_FIPS_RULE } as const
const HSM2M = { modes: CLUSTER_MODES, hsmTypes: ['hsm2m.medium'] } as const
/** Outside FIPS mode, which only the newer HSM type has. */
const HSM2M_FREE = { modes: ['NON_FIPS'], hsmTypes: ['hsm2m.medium'] } as const

export const POLICY_TABLE = [
  // Keys
  {
    mechanisms: ['rsa'],
    operations: ['generate', 'import', 'unwrap'],
    keys: [RSA_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['rsa-x9-31'],
    operations: ['generate'],
    keys: [RSA_SIZES],
    ...ANYWHERE,
    source: 'FIPS 186-4 B.3.6; ' + TABLE_PAGE,
  },
  {
    mechanisms: ['ec'],
    operations: ['generate', 'import', 'unwrap'],
    keys: [EC_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['ed25519'],
    operations: ['generate', 'import', 'unwrap', 'sign', 'verify'],
    keys: [ED25519_SIZES],
    ...HSM2M_FREE,
    rule: 'Ed25519 is for hsm2m.medium in NON_FIPS mode',
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['ml-dsa'],
    operations: ['generate', 'import', 'unwrap', 'sign', 'verify'],
    keys: [ML_DSA_SIZES],
    ...HSM2M,
    rule: 'ML-DSA is for hsm2m.medium',
    source: 'FIPS 204; AWS CloudHSM user guide, CloudHSM CLI command index of 2026-09-01',
  },
  {
    mechanisms: ['ml-kem'],
    operations: ['generate', 'import', 'unwrap', 'encapsulate', 'decapsulate'],
    keys: [ML_KEM_SIZES],
    ...HSM2M_FREE,
    rule: 'ML-KEM is beyond AWS CloudHSM, and offered on hsm2m.medium in NON_FIPS mode only',
    source: 'FIPS 203; Strongroom, differences from AWS',
  },
  {
    mechanisms: ['aes'],
    operations: ['generate', 'import', 'unwrap', 'derive'],
    keys: [AES_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['generic-secret'],
    operations: ['generate', 'import', 'unwrap'],
    keys: [GENERIC_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['generic-secret'],
    operations: ['derive'],
    keys: [DERIVED_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['des3'],
    operations: ['generate'],
    keys: [DES3_SIZES],
    ...HSM2M_FREE,
    rule: 'FIPS mode disallows new 3DES keys since 2024',
    source: 'NIST SP 800-131A rev. 2 section 2; ' + DEPRECATIONS,
  },
  {
    // A key that is brought in, or agreed on elsewhere, still decrypts what is old.
    mechanisms: ['des3'],
    operations: ['import', 'unwrap', 'derive'],
    keys: [DES3_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },

  // Signatures and codes
  {
    mechanisms: ['rsa-pkcs', 'rsa-pkcs-unhashed', 'rsa-x509', 'rsa-pkcs-pss'],
    operations: ['sign', 'verify'],
    keys: [RSA_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['ecdsa'],
    operations: ['sign'],
    keys: [EC_SIZES],
    fipsDigests: 'at least as strong as the key',
    ...ANYWHERE,
    source: 'FIPS 186-5 section 6.1.1; ' + TABLE_PAGE,
  },
  { mechanisms: ['ecdsa'], operations: ['verify'], keys: [EC_SIZES], ...ANYWHERE, source: TABLE_PAGE },
  {
    mechanisms: ['ed25519ph'],
    operations: ['sign', 'verify'],
    keys: [ED25519_SIZES],
    ...HSM2M_FREE,
    rule: 'Ed25519ph is for hsm2m.medium in NON_FIPS mode',
    source: TABLE_PAGE,
  },
  { mechanisms: ['hmac'], operations: ['sign', 'verify'], keys: [GENERIC_SIZES], ...ANYWHERE, source: TABLE_PAGE },
  { mechanisms: ['aes-cmac'], operations: ['sign', 'verify'], keys: [AES_SIZES], ...ANYWHERE, source: TABLE_PAGE },

  // Encryption
  {
    mechanisms: ['aes-gcm', 'cloudhsm-aes-gcm', 'aes-ecb', 'aes-cbc', 'aes-cbc-pad', 'aes-ctr'],
    operations: ['encrypt', 'decrypt'],
    keys: [AES_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['rsa-oaep', 'rsa-x509'],
    operations: ['encrypt', 'decrypt'],
    keys: [RSA_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['rsa-pkcs'],
    operations: ['encrypt', 'decrypt', 'wrap', 'unwrap'],
    keys: [RSA_SIZES],
    ...HSM2M_FREE,
    rule: 'FIPS mode disallows RSA PKCS#1 v1.5 encryption and key transport since 2024; signing stays',
    source: 'NIST SP 800-131A rev. 2 section 6; ' + DEPRECATIONS,
  },
  {
    mechanisms: ['des3-ecb', 'des3-cbc', 'des3-cbc-pad'],
    operations: ['encrypt'],
    keys: [DES3_SIZES],
    ...HSM2M_FREE,
    rule: 'FIPS mode disallows encrypting with 3DES since 2024; decrypting stays',
    source: 'NIST SP 800-131A rev. 2 section 2; ' + DEPRECATIONS,
  },
  {
    mechanisms: ['des3-ecb', 'des3-cbc', 'des3-cbc-pad'],
    operations: ['decrypt'],
    keys: [DES3_SIZES],
    ...ANYWHERE,
    source: 'NIST SP 800-131A rev. 2 section 2',
  },

  // Wrapping and deriving: the sizes are those of the key that does it
  {
    mechanisms: ['aes-gcm', 'cloudhsm-aes-gcm', 'aes-no-pad', 'aes-zero-pad', 'aes-pkcs5-pad'],
    operations: ['wrap', 'unwrap'],
    keys: [AES_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['rsa-oaep', 'rsa-aes'],
    operations: ['wrap', 'unwrap'],
    keys: [RSA_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['aes-cbc-pad'],
    operations: ['unwrap'],
    keys: [AES_SIZES],
    ...ANYWHERE,
    source: 'AWS CloudHSM user guide, Supported mechanisms for the JCE provider',
  },
  { mechanisms: ['ecdh-x963'], operations: ['derive'], keys: [EC_SIZES], ...ANYWHERE, source: TABLE_PAGE },
  {
    // HMAC as its PRF takes generic secrets, CMAC takes AES keys.
    mechanisms: ['sp800-108-counter'],
    operations: ['derive'],
    keys: [GENERIC_SIZES, AES_SIZES],
    ...ANYWHERE,
    source: TABLE_PAGE,
  },

  // Without a key
  {
    mechanisms: ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'],
    operations: ['digest'],
    keys: [],
    ...ANYWHERE,
    source: 'FIPS 180-4; ' + TABLE_PAGE,
  },
] as const satisfies readonly PolicyRow[]

/** Every mechanism and key type that a row names. */
export type PolicyMechanism = (typeof POLICY_TABLE)[number]['mechanisms'][number]

/** Whether a row allows it: for lists of what there is. */
export function isAllowed(row: PolicyRow, mode: ClusterMode, hsmType: HsmType): boolean {
  if (mode === 'NON_FIPS' && hsmType === 'hsm1.medium') return false
  return row.modes.includes(mode) && row.hsmTypes.includes(hsmType)
}
