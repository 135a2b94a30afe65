/**
 * What a cluster allows, written down a second time and by hand from data-plane reference §4 and §4.1: a row of the table
 * that comes to allow more, or less, than stands here fails. That the work is held to the table is
 * `mechanisms/policy.test.ts`'s to show.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLUSTER_MODES, HSM_TYPES } from '../../../provider-schema/limits.ts'
import {
  MECHANISM_POLICY,
  POLICY_OPERATIONS,
  requireAllowed,
  type PolicyMechanism,
  type PolicyOperation,
  type PolicyRow,
} from './mechanism-policy.ts'

type Allowed = readonly [hsm1Fips: boolean, hsm2mFips: boolean, hsm2mNonFips: boolean]

const ALL: Allowed = [true, true, true]
/** Of the newer HSM type, whatever the mode. */
const HSM2M: Allowed = [false, true, true]
/** Outside FIPS mode, which only the newer HSM type has. */
const FREE: Allowed = [false, false, true]

const KEYS = { generate: ALL, import: ALL } as const
const SIGNATURES = { sign: ALL, verify: ALL } as const
const CIPHER = { encrypt: ALL, decrypt: ALL } as const
const TRANSPORT = { wrap: ALL, unwrap: ALL } as const
const DES3_CIPHER = { encrypt: FREE, decrypt: ALL } as const
const DIGEST = { digest: ALL } as const
const DERIVE = { derive: ALL } as const

const matrix: Record<PolicyMechanism, Partial<Record<PolicyOperation, Allowed>>> = {
  rsa: KEYS,
  ec: KEYS,
  aes: KEYS,
  'generic-secret': KEYS,
  des3: { generate: FREE, import: ALL },
  'rsa-x9-31': { generate: ALL },
  'rsa-pkcs': { sign: ALL, verify: ALL, encrypt: FREE, decrypt: FREE, wrap: FREE, unwrap: FREE },
  'rsa-pkcs-unhashed': SIGNATURES,
  'rsa-x509': { sign: ALL, verify: ALL, encrypt: ALL, decrypt: ALL },
  'rsa-pkcs-pss': SIGNATURES,
  'rsa-oaep': { encrypt: ALL, decrypt: ALL, wrap: ALL, unwrap: ALL },
  'rsa-aes': TRANSPORT,
  ecdsa: SIGNATURES,
  hmac: SIGNATURES,
  'aes-cmac': SIGNATURES,
  'aes-gcm': { encrypt: ALL, decrypt: ALL, wrap: ALL, unwrap: ALL },
  'cloudhsm-aes-gcm': { encrypt: ALL, decrypt: ALL, wrap: ALL, unwrap: ALL },
  'aes-ecb': CIPHER,
  'aes-cbc': CIPHER,
  'aes-cbc-pad': { encrypt: ALL, decrypt: ALL, unwrap: ALL },
  'aes-ctr': CIPHER,
  'aes-no-pad': TRANSPORT,
  'aes-zero-pad': TRANSPORT,
  'aes-pkcs5-pad': TRANSPORT,
  'des3-ecb': DES3_CIPHER,
  'des3-cbc': DES3_CIPHER,
  'des3-cbc-pad': DES3_CIPHER,
  'ecdh-x963': DERIVE,
  'sp800-108-counter': DERIVE,
  ed25519: { generate: FREE, import: FREE, sign: FREE, verify: FREE },
  ed25519ph: { sign: FREE, verify: FREE },
  'ml-dsa': { generate: HSM2M, import: HSM2M, sign: HSM2M, verify: HSM2M },
  // Not AWS's.
  'ml-kem': { generate: FREE, import: FREE, encapsulate: FREE, decapsulate: FREE },
  sha1: DIGEST,
  sha224: DIGEST,
  sha256: DIGEST,
  sha384: DIGEST,
  sha512: DIGEST,
}
const mechanisms = Object.keys(matrix) as PolicyMechanism[]
const rows: readonly PolicyRow[] = MECHANISM_POLICY

test('the matrix and the table name the same mechanisms with the same operations', () => {
  const inMatrix = mechanisms.flatMap((mechanism) => Object.keys(matrix[mechanism]).map((op) => `${op} ${mechanism}`))
  const inTable = rows.flatMap((row) => row.mechanisms.flatMap((name) => row.operations.map((op) => `${op} ${name}`)))
  assert.deepEqual(inTable.sort(), inMatrix.sort())
})

for (const mechanism of mechanisms) {
  for (const operation of POLICY_OPERATIONS) {
    const listed = matrix[mechanism][operation]
    const [hsm1, hsm2mFips, hsm2mFree] = listed ?? [false, false, false]
    const places = [
      ['hsm1.medium', 'FIPS', hsm1],
      ['hsm2m.medium', 'FIPS', hsm2mFips],
      ['hsm2m.medium', 'NON_FIPS', hsm2mFree],
      ['hsm1.medium', 'NON_FIPS', false],
      // One that is not known counts as the newest.
      ['hsm3.large', 'FIPS', hsm2mFips],
      ['hsm3.large', 'NON_FIPS', hsm2mFree],
    ] as const
    const where = places.filter(([, , allowed]) => allowed).map(([hsmType, mode]) => `${hsmType} ${mode}`)
    test(`${operation} with ${mechanism}: ${where.join(', ') || 'nowhere'}`, () => {
      for (const [hsmType, mode, allowed] of places) {
        const ask = () => requireAllowed(mechanism, operation, { hsmType, mode })
        if (allowed) ask()
        else assert.throws(ask, { code: 'MechanismInvalid', message: refusal(listed !== undefined) }, hsmType + mode)
      }
    })
  }
}

/** Every refusal names the mechanism's rule and, in brackets at its end, where that is from. */
const refusal = (listed: boolean) =>
  listed
    ? /^invalid mechanism: \S+ does not \S+ on \S+ in (FIPS|NON_FIPS) mode: .{20,} \(.*(AWS CloudHSM|NIST|FIPS|Strongroom).*\)$/
    : /^invalid mechanism: \S+ does not \S+ on any HSM type or in any mode: .*listed for it \(AWS CloudHSM user guide,.*\)$/

test('each row has a rule and a source, and no mode or HSM type that is none', () => {
  for (const { rule, source, modes, hsmTypes } of rows) {
    assert.ok(rule.length > 20)
    assert.match(source, /AWS CloudHSM user guide|NIST SP|FIPS \d/)
    // NON_FIPS is a mode of the newer HSM type only: a row that names another there means nothing by it.
    if (!modes.includes('FIPS')) assert.deepEqual(hsmTypes, ['hsm2m.medium'])
    assert.ok(modes.every((mode) => CLUSTER_MODES.includes(mode)) && hsmTypes.every((type) => HSM_TYPES.includes(type)))
  }
})
