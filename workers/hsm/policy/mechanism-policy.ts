/**
 * What a cluster allows: mechanism × operation × mode × HSM type, one table, each row with its source. What no row
 * names is refused. Sizes of keys are `key-policy.ts`'s; which hash goes with which curve is `modes.ts`'s.
 *
 * FIPS mode is an algorithm policy of this software; it is not a certificate.
 */
import { CLUSTER_MODES, HSM_TYPES, type ClusterMode, type HsmType } from '../../../provider-schema/limits.ts'
import { HsmError } from '../protocol/errors.ts'

/** `generate` and `import` (unwrapping and deriving included) are of the key type that the row names. */
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

/** The cluster that is asked. An HSM type that is not known here counts as the newest. */
export interface Place {
  readonly mode: ClusterMode
  readonly hsmType: string
}

export interface PolicyRow {
  readonly mechanisms: readonly string[]
  readonly operations: readonly PolicyOperation[]
  /** Where it is allowed. */
  readonly modes: readonly ClusterMode[]
  readonly hsmTypes: readonly HsmType[]
  /** Why not elsewhere; told to who asks. */
  readonly rule: string
  readonly source: string
}

const ANYWHERE = { modes: CLUSTER_MODES, hsmTypes: HSM_TYPES } as const
const ANY_RULE = 'NON_FIPS is a mode of hsm2m.medium only'
const MODES_PAGE = 'AWS CloudHSM user guide, Cluster modes'
const TABLE_PAGE = 'AWS CloudHSM user guide, Supported mechanisms for the PKCS #11 library'

export const MECHANISM_POLICY = [
  {
    mechanisms: ['rsa', 'ec', 'aes', 'generic-secret'],
    operations: ['generate', 'import'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['rsa-x9-31'],
    operations: ['generate'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: 'FIPS 186-4 B.3.6; ' + TABLE_PAGE,
  },
  {
    mechanisms: ['rsa-pkcs', 'rsa-pkcs-unhashed', 'rsa-x509', 'rsa-pkcs-pss', 'ecdsa', 'hmac', 'aes-cmac'],
    operations: ['sign', 'verify'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['aes-gcm', 'cloudhsm-aes-gcm', 'aes-ecb', 'aes-cbc', 'aes-cbc-pad', 'aes-ctr', 'rsa-oaep', 'rsa-x509'],
    operations: ['encrypt', 'decrypt'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['rsa-pkcs'],
    operations: ['encrypt', 'decrypt', 'wrap', 'unwrap'],
    modes: ['NON_FIPS'],
    hsmTypes: ['hsm2m.medium'],
    rule: 'FIPS mode disallows RSA PKCS#1 v1.5 encryption and key transport since 2024; signing stays',
    source: 'NIST SP 800-131A rev. 2 section 6; AWS CloudHSM user guide, deprecation notifications',
  },
  {
    mechanisms: ['des3'],
    operations: ['generate'],
    modes: ['NON_FIPS'],
    hsmTypes: ['hsm2m.medium'],
    rule: 'FIPS mode disallows new 3DES keys since 2024',
    source: 'NIST SP 800-131A rev. 2 section 2; AWS CloudHSM user guide, deprecation notifications',
  },
  {
    // A key that is brought in still decrypts what is old.
    mechanisms: ['des3'],
    operations: ['import'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['des3-ecb', 'des3-cbc', 'des3-cbc-pad'],
    operations: ['encrypt'],
    modes: ['NON_FIPS'],
    hsmTypes: ['hsm2m.medium'],
    rule: 'FIPS mode disallows encrypting with 3DES since 2024; decrypting stays',
    source: 'NIST SP 800-131A rev. 2 section 2; AWS CloudHSM user guide, deprecation notifications',
  },
  {
    mechanisms: ['des3-ecb', 'des3-cbc', 'des3-cbc-pad'],
    operations: ['decrypt'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: 'NIST SP 800-131A rev. 2 section 2',
  },
  {
    mechanisms: ['aes-gcm', 'cloudhsm-aes-gcm', 'aes-no-pad', 'aes-zero-pad', 'aes-pkcs5-pad', 'rsa-oaep', 'rsa-aes'],
    operations: ['wrap', 'unwrap'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['aes-cbc-pad'],
    operations: ['unwrap'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: 'AWS CloudHSM user guide, Supported mechanisms for the JCE provider',
  },
  {
    mechanisms: ['ecdh-x963', 'sp800-108-counter'],
    operations: ['derive'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['ed25519'],
    operations: ['generate', 'import', 'sign', 'verify'],
    modes: ['NON_FIPS'],
    hsmTypes: ['hsm2m.medium'],
    rule: 'Ed25519 is for hsm2m.medium in NON_FIPS mode',
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['ed25519ph'],
    operations: ['sign', 'verify'],
    modes: ['NON_FIPS'],
    hsmTypes: ['hsm2m.medium'],
    rule: 'Ed25519ph is for hsm2m.medium in NON_FIPS mode',
    source: TABLE_PAGE,
  },
  {
    mechanisms: ['ml-dsa'],
    operations: ['generate', 'import', 'sign', 'verify'],
    modes: CLUSTER_MODES,
    hsmTypes: ['hsm2m.medium'],
    rule: 'ML-DSA is for hsm2m.medium',
    source: 'FIPS 204; AWS CloudHSM user guide, CloudHSM CLI command index of 2026-09-01',
  },
  {
    mechanisms: ['ml-kem'],
    operations: ['generate', 'import', 'encapsulate', 'decapsulate'],
    modes: ['NON_FIPS'],
    hsmTypes: ['hsm2m.medium'],
    rule: 'ML-KEM is beyond AWS CloudHSM, and offered on hsm2m.medium in NON_FIPS mode only',
    source: 'FIPS 203; Strongroom, differences from AWS',
  },
  {
    mechanisms: ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'],
    operations: ['digest'],
    ...ANYWHERE,
    rule: ANY_RULE,
    source: 'FIPS 180-4; ' + TABLE_PAGE,
  },
] as const satisfies readonly PolicyRow[]

/** Every mechanism and key type that a row names. */
export type PolicyMechanism = (typeof MECHANISM_POLICY)[number]['mechanisms'][number]

/** Refusals by HSM type and mode; nothing where it is allowed. */
type Verdicts = Readonly<Record<HsmType, Readonly<Record<ClusterMode, string | undefined>>>>

const VERDICTS: ReadonlyMap<PolicyOperation, ReadonlyMap<string, Verdicts>> = tabulate(MECHANISM_POLICY)

/**
 * Throws MechanismInvalid with the rule and the standard where the cluster does not allow it. Three look-ups: a
 * signature passes here.
 */
export function requireAllowed(mechanism: PolicyMechanism, operation: PolicyOperation, { mode, hsmType }: Place): void {
  const verdicts = VERDICTS.get(operation)?.get(mechanism)
  if (!verdicts) {
    throw new HsmError(
      'MechanismInvalid',
      `invalid mechanism: ${mechanism} does not ${operation} on any HSM type or in any mode: ` +
        `a mechanism does only what is listed for it (${TABLE_PAGE})`,
    )
  }
  const refusal = verdicts[hsmType === 'hsm1.medium' ? 'hsm1.medium' : 'hsm2m.medium'][mode]
  if (refusal !== undefined) throw new HsmError('MechanismInvalid', refusal)
}

/** Whether a row allows it: for lists of what there is. */
export function isAllowed(row: PolicyRow, mode: ClusterMode, hsmType: HsmType): boolean {
  if (mode === 'NON_FIPS' && hsmType === 'hsm1.medium') return false
  return row.modes.includes(mode) && row.hsmTypes.includes(hsmType)
}

function tabulate(rows: readonly PolicyRow[]): Map<PolicyOperation, Map<string, Verdicts>> {
  const table = new Map(POLICY_OPERATIONS.map((operation) => [operation, new Map<string, Verdicts>()]))
  for (const row of rows) {
    for (const operation of row.operations) {
      for (const mechanism of row.mechanisms) {
        if (table.get(operation)?.has(mechanism)) throw new Error(`two rows for ${operation} with ${mechanism}`)
        table.get(operation)?.set(mechanism, verdictsOf(row, mechanism, operation))
      }
    }
  }
  return table
}

function verdictsOf(row: PolicyRow, mechanism: string, operation: PolicyOperation): Verdicts {
  const verdict = (hsmType: HsmType, mode: ClusterMode) => {
    if (isAllowed(row, mode, hsmType)) return undefined
    const impossible = mode === 'NON_FIPS' && hsmType === 'hsm1.medium'
    const why = impossible ? `${ANY_RULE} (${MODES_PAGE})` : `${row.rule} (${row.source})`
    return `invalid mechanism: ${mechanism} does not ${operation} on ${hsmType} in ${mode} mode: ${why}`
  }
  const both = (hsmType: HsmType) => ({ FIPS: verdict(hsmType, 'FIPS'), NON_FIPS: verdict(hsmType, 'NON_FIPS') })
  return { 'hsm1.medium': both('hsm1.medium'), 'hsm2m.medium': both('hsm2m.medium') }
}
