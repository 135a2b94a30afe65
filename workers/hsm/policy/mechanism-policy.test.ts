/**
 * What a cluster allows, written down a second time and by hand from data-plane reference §3.1, §4 and §4.1: a row of the
 * table that comes to allow more, or less, than stands here fails. That the work is held to the table is
 * `mechanisms/policy.test.ts`'s to show.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLUSTER_MODES, HSM_TYPES } from '../../../provider-schema/limits.ts'
import {
  aesBytes,
  derivedBytes,
  genericSecretBytes,
  hasSize,
  modulusBits,
  sizesText,
  type KeySize,
  type KeySizes,
} from '../protocol/key-sizes.ts'
import { CURVES, ML_DSA_PARAMETER_SETS, ML_KEM_PARAMETER_SETS } from '../protocol/mechanisms.ts'
import { requireAllowed, requireAllowedSize } from './mechanism-policy.ts'
import {
  isAllowed,
  ORIGINS,
  POLICY_OPERATIONS,
  POLICY_TABLE,
  type PolicyMechanism,
  type PolicyOperation,
  type PolicyRow,
} from './policy-table.ts'

interface Sizes {
  readonly allowed: readonly KeySize[]
  readonly refused: readonly KeySize[]
  /** What the refusal of a size says, its standard in brackets at the end. */
  readonly rule: RegExp
}

const range = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step)
const without = (from: readonly number[], some: readonly number[]) => from.filter((size) => !some.includes(size))

/** Bits of the modulus. */
const MODULI = [2048, 2304, 2560, 2816, 3072, 3328, 3584, 3840, 4096]
const RSA: Sizes = {
  allowed: MODULI,
  refused: [...without(range(0, 8192, 128), MODULI), 2047, 2049, 2056, 4095, 4097, 15_360, 2048.5, -2048, 'P-256'],
  rule: /^not .+: an RSA modulus has 2048 to 4096 bits in steps of 256 \(FIPS 186-5 .*AWS CloudHSM.*\)$/,
}
const EC: Sizes = {
  allowed: ['P-224', 'P-256', 'P-384', 'P-521', 'secp256k1'],
  refused: ['P-192', 'K-256', 'secp192k1', 'brainpoolP256r1', 'Ed25519', 'Ed448', 'X25519', 'p-256', '', 256, 384],
  rule: /^not .*: an EC key is on P-224, P-256, P-384, P-521 or secp256k1, .*\(NIST SP 800-186 .*SEC 2 .*\)$/,
}
const ED25519: Sizes = {
  allowed: ['Ed25519'],
  refused: ['Ed448', 'X25519', 'P-256', 'ed25519', 256],
  rule: /^not .*: an Edwards curve key is on Ed25519 \(RFC 8032 .*\)$/,
}
/** Bytes. */
const AES: Sizes = {
  allowed: [16, 24, 32],
  refused: [...without(range(0, 64), [16, 24, 32]), 128, 192, 256, 16.5, 'AES-256'],
  rule: /^not .*: a key of type aes has 16, 24 or 32 bytes \(FIPS 197 section 5\)$/,
}
const DES3: Sizes = {
  allowed: [24],
  refused: [...without(range(0, 48), [24]), 168, 192],
  rule: /^not .*: a key of type des3 has 24 bytes \(NIST SP 800-67 rev\. 2 section 3\)$/,
}
const GENERIC: Sizes = {
  allowed: range(1, 800),
  refused: [-1, 0, 801, 802, 1024, 1.5, 65_536],
  rule: /^not .*: a key of type generic-secret has 1 to 800 bytes \(AWS CloudHSM user guide, .*\)$/,
}
const DERIVED: Sizes = {
  allowed: range(14, 800),
  refused: [...range(0, 13), 801, 1024, 14.5],
  rule: /^not .*: a derived key has 14 \(112 bits, NIST SP 800-131A rev\. 2 .*\) to 800 bytes \(AWS CloudHSM .*\)$/,
}
const ML_DSA: Sizes = {
  allowed: ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'],
  refused: ['ML-DSA-43', 'ML-DSA-128', 'ML-KEM-768', 'ml-dsa-44', 44, 65, 87],
  rule: /^not .*: an ML-DSA key is of ML-DSA-44, ML-DSA-65 or ML-DSA-87 \(FIPS 204 section 4\)$/,
}
const ML_KEM: Sizes = {
  allowed: ['ML-KEM-512', 'ML-KEM-768', 'ML-KEM-1024'],
  refused: ['ML-KEM-256', 'ML-KEM-2048', 'ML-DSA-44', 512, 768, 1024],
  rule: /^not .*: an ML-KEM key is of ML-KEM-512, ML-KEM-768 or ML-KEM-1024 \(FIPS 203 section 8\)$/,
}
/** Either is taken. */
const GENERIC_OR_AES: Sizes = {
  allowed: GENERIC.allowed,
  refused: GENERIC.refused,
  rule: /^not .*: .*1 to 800 bytes \(AWS CloudHSM .*\); not .*: .*32 bytes \(FIPS 197 .*\)$/,
}
const NO_KEY: Sizes = { allowed: [], refused: [0, 16, 2048, 'P-256'], rule: /takes no key \(AWS CloudHSM .*\)$/ }

type Where = readonly [hsm1Fips: boolean, hsm2mFips: boolean, hsm2mNonFips: boolean]

const ALL: Where = [true, true, true]
/** Of the newer HSM type, whatever the mode. */
const HSM2M: Where = [false, true, true]
/** Outside FIPS mode, which only the newer HSM type has. */
const FREE: Where = [false, false, true]

type Allowed = readonly [Where, Sizes]
type Operations = Partial<Record<PolicyOperation, Allowed>>

const both = (a: PolicyOperation, b: PolicyOperation, allowed: Allowed): Operations => ({
  [a]: allowed,
  [b]: allowed,
})
const keys = (allowed: Allowed): Operations => ({ generate: allowed, import: allowed, unwrap: allowed })
const signatures = (allowed: Allowed) => both('sign', 'verify', allowed)
const cipher = (allowed: Allowed) => both('encrypt', 'decrypt', allowed)
const transport = (allowed: Allowed) => both('wrap', 'unwrap', allowed)
const DES3_CIPHER: Operations = { encrypt: [FREE, DES3], decrypt: [ALL, DES3] }
const DIGEST: Operations = { digest: [ALL, NO_KEY] }

const matrix: Record<PolicyMechanism, Operations> = {
  rsa: keys([ALL, RSA]),
  ec: keys([ALL, EC]),
  aes: { ...keys([ALL, AES]), derive: [ALL, AES] },
  'generic-secret': { ...keys([ALL, GENERIC]), derive: [ALL, DERIVED] },
  des3: { generate: [FREE, DES3], import: [ALL, DES3], unwrap: [ALL, DES3], derive: [ALL, DES3] },
  'rsa-x9-31': { generate: [ALL, RSA] },
  'rsa-pkcs': { ...signatures([ALL, RSA]), ...cipher([FREE, RSA]), ...transport([FREE, RSA]) },
  'rsa-pkcs-unhashed': signatures([ALL, RSA]),
  'rsa-x509': { ...signatures([ALL, RSA]), ...cipher([ALL, RSA]) },
  'rsa-pkcs-pss': signatures([ALL, RSA]),
  'rsa-oaep': { ...cipher([ALL, RSA]), ...transport([ALL, RSA]) },
  'rsa-aes': transport([ALL, RSA]),
  ecdsa: signatures([ALL, EC]),
  hmac: signatures([ALL, GENERIC]),
  'aes-cmac': signatures([ALL, AES]),
  'aes-gcm': { ...cipher([ALL, AES]), ...transport([ALL, AES]) },
  'cloudhsm-aes-gcm': { ...cipher([ALL, AES]), ...transport([ALL, AES]) },
  'aes-ecb': cipher([ALL, AES]),
  'aes-cbc': cipher([ALL, AES]),
  'aes-cbc-pad': { ...cipher([ALL, AES]), unwrap: [ALL, AES] },
  'aes-ctr': cipher([ALL, AES]),
  'aes-no-pad': transport([ALL, AES]),
  'aes-zero-pad': transport([ALL, AES]),
  'aes-pkcs5-pad': transport([ALL, AES]),
  'des3-ecb': DES3_CIPHER,
  'des3-cbc': DES3_CIPHER,
  'des3-cbc-pad': DES3_CIPHER,
  'ecdh-x963': { derive: [ALL, EC] },
  'sp800-108-counter': { derive: [ALL, GENERIC_OR_AES] },
  ed25519: { ...keys([FREE, ED25519]), ...signatures([FREE, ED25519]) },
  ed25519ph: signatures([FREE, ED25519]),
  'ml-dsa': { ...keys([HSM2M, ML_DSA]), ...signatures([HSM2M, ML_DSA]) },
  // Not AWS's.
  'ml-kem': { ...keys([FREE, ML_KEM]), ...both('encapsulate', 'decapsulate', [FREE, ML_KEM]) },
  sha1: DIGEST,
  sha224: DIGEST,
  sha256: DIGEST,
  sha384: DIGEST,
  sha512: DIGEST,
}
const mechanisms = Object.keys(matrix) as PolicyMechanism[]
const rows: readonly PolicyRow[] = POLICY_TABLE

test('the matrix and the table name the same mechanisms with the same operations', () => {
  const inMatrix = mechanisms.flatMap((mechanism) => Object.keys(matrix[mechanism]).map((op) => `${op} ${mechanism}`))
  const inTable = rows.flatMap((row) => row.mechanisms.flatMap((name) => row.operations.map((op) => `${op} ${name}`)))
  assert.deepEqual(inTable.sort(), inMatrix.sort())
})

for (const mechanism of mechanisms) {
  for (const operation of POLICY_OPERATIONS) {
    const listed = matrix[mechanism][operation]
    const [hsm1, hsm2mFips, hsm2mFree] = listed?.[0] ?? [false, false, false]
    const sizes = listed?.[1] ?? NO_KEY
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
        const message = refusal(listed !== undefined)
        if (allowed) ask()
        else assert.throws(ask, { code: 'MechanismInvalid', message }, hsmType + mode)

        const askSize = (size: KeySize) => requireAllowedSize(mechanism, operation, size, { hsmType, mode })
        for (const size of sizes.allowed) {
          if (allowed) askSize(size)
          else assert.throws(() => askSize(size), { code: 'MechanismInvalid', message }, `${hsmType} ${mode} ${size}`)
        }
        for (const size of sizes.refused) {
          const why = allowed ? sizes.rule : message
          assert.throws(() => askSize(size), { code: 'MechanismInvalid', message: why }, `${hsmType} ${mode} ${size}`)
        }
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

const KEY_MECHANISMS = ['rsa', 'ec', 'ed25519', 'ml-dsa', 'ml-kem', 'aes', 'generic-secret', 'des3'] as const
const sizesOf = (sizes: KeySizes): readonly KeySize[] =>
  'values' in sizes ? sizes.values : range(sizes.min, sizes.max, sizes.step)

for (const mode of CLUSTER_MODES) {
  for (const hsmType of HSM_TYPES) {
    test(`a key that ${hsmType} in ${mode} mode lets come into being is of no size that a mechanism refuses`, () => {
      const here = rows.filter((row) => isAllowed(row, mode, hsmType))
      const makes = (row: PolicyRow) => KEY_MECHANISMS.some((type) => row.mechanisms.includes(type))
      const born = here.filter((row) => makes(row) && ORIGINS.some((origin) => row.operations.includes(origin)))
      for (const { keys: made } of born) {
        for (const kind of made) {
          const uses = here.filter(
            (row) => row.keys.some(({ keys: name }) => name === kind.keys) && !born.includes(row),
          )
          for (const size of sizesOf(kind)) {
            for (const use of uses) {
              const takes = use.keys.some((sizes) => sizes.keys === kind.keys && hasSize(sizes, size))
              assert.ok(takes, `${use.mechanisms.join()} does not take ${kind.keys} of ${size}`)
            }
          }
        }
      }
      assert.equal(born.length > 0, mode === 'FIPS' || hsmType === 'hsm2m.medium')
    })
  }
}

test('a request may ask for exactly the sizes that the table has', () => {
  const shapes = [
    ['rsa', 'generate', modulusBits, RSA],
    ['aes', 'generate', aesBytes, AES],
    ['generic-secret', 'generate', genericSecretBytes, GENERIC],
    ['generic-secret', 'derive', derivedBytes, DERIVED],
  ] as const
  for (const [mechanism, operation, shape, { allowed, refused }] of shapes) {
    for (const size of [...allowed, ...refused]) {
      const inTable = rows.some(
        (row) =>
          row.mechanisms.includes(mechanism) &&
          row.operations.includes(operation) &&
          row.keys.some((sizes) => hasSize(sizes, size)),
      )
      assert.equal(shape.safeParse(size).success, inTable, `${mechanism} ${size}`)
    }
  }
  assert.deepEqual([...ML_DSA_PARAMETER_SETS], ML_DSA.allowed)
  assert.deepEqual([...ML_KEM_PARAMETER_SETS], ML_KEM.allowed)
  // P-256 has two names there.
  assert.equal(CURVES.length, EC.allowed.length + ED25519.allowed.length + 1)
})

test('sizes read as a person says them', () => {
  const texts = new Set(rows.flatMap((row) => row.keys.map((sizes) => `${sizes.keys}: ${sizesText(sizes)}`)))
  assert.deepEqual([...texts].sort(), [
    '3DES: 24 bytes',
    'AES: 16, 24 or 32 bytes',
    'EC: P-224, P-256, P-384, P-521 or secp256k1',
    'Ed25519: Ed25519',
    'ML-DSA: ML-DSA-44, ML-DSA-65 or ML-DSA-87',
    'ML-KEM: ML-KEM-512, ML-KEM-768 or ML-KEM-1024',
    'RSA: 2048 to 4096 bits in steps of 256',
    'generic secret: 1 to 800 bytes',
    'generic secret: 14 to 800 bytes',
  ])
})
