/** Which keys a client gets where, asked of the client port: by hand from data-plane reference §4 and §4.1. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startInProcess, type InProcessSession } from './testing/in-process.ts'

const one = { requireTwoCopies: false } as const
const attributes = { token: false } as const
const pair = { publicAttributes: attributes, privateAttributes: attributes, ...one } as const

type Make = (alice: InProcessSession) => Promise<unknown>
const ec =
  (curve: 'secp224r1' | 'prime256v1' | 'secp384r1' | 'secp521r1' | 'secp256k1' | 'ed25519'): Make =>
  (alice) =>
    alice.call('key-generate-ec', { curve, ...pair })
const mlDsa =
  (parameterSet: 'ML-DSA-44' | 'ML-DSA-65' | 'ML-DSA-87'): Make =>
  (alice) =>
    alice.call('key-generate-ml-dsa', { parameterSet, ...pair })
const mlKem =
  (parameterSet: 'ML-KEM-512' | 'ML-KEM-768' | 'ML-KEM-1024'): Make =>
  (alice) =>
    alice.call('key-generate-ml-kem', { parameterSet, ...pair })

const KEYS: readonly (readonly [what: string, make: Make, where: 'anywhere' | 'hsm2m' | 'NON_FIPS'])[] = [
  ['AES', (alice) => alice.call('key-generate-aes', { lengthBytes: 32, attributes, ...one }), 'anywhere'],
  [
    'generic',
    (alice) => alice.call('key-generate-generic-secret', { lengthBytes: 32, attributes, ...one }),
    'anywhere',
  ],
  [
    'RSA',
    (alice) => alice.call('key-generate-rsa', { modulusBits: 2048, publicExponent: 65_537, ...pair }),
    'anywhere',
  ],
  ['P-224', ec('secp224r1'), 'anywhere'],
  ['P-256', ec('prime256v1'), 'anywhere'],
  ['P-384', ec('secp384r1'), 'anywhere'],
  ['P-521', ec('secp521r1'), 'anywhere'],
  ['secp256k1', ec('secp256k1'), 'anywhere'],
  ['ML-DSA-44', mlDsa('ML-DSA-44'), 'hsm2m'],
  ['ML-DSA-65', mlDsa('ML-DSA-65'), 'hsm2m'],
  ['ML-DSA-87', mlDsa('ML-DSA-87'), 'hsm2m'],
  ['3DES', (alice) => alice.call('key-generate-des3', { attributes, ...one }), 'NON_FIPS'],
  ['Ed25519', ec('ed25519'), 'NON_FIPS'],
  ['ML-KEM-512', mlKem('ML-KEM-512'), 'NON_FIPS'],
  ['ML-KEM-768', mlKem('ML-KEM-768'), 'NON_FIPS'],
  ['ML-KEM-1024', mlKem('ML-KEM-1024'), 'NON_FIPS'],
]

for (const [place, has] of [
  [{ hsmType: 'hsm1.medium', mode: 'FIPS' }, ['anywhere']],
  [{ hsmType: 'hsm2m.medium', mode: 'FIPS' }, ['anywhere', 'hsm2m']],
  [{ hsmType: 'hsm2m.medium', mode: 'NON_FIPS' }, ['anywhere', 'hsm2m', 'NON_FIPS']],
] as const) {
  const lists: readonly string[] = has
  test(`${place.hsmType} in ${place.mode} mode makes the keys that it may, and no other`, async () => {
    const hsm = await startInProcess(place)
    const alice = hsm.as('alice')
    for (const [what, make, where] of KEYS) {
      const before = hsm.keys.count
      if (lists.includes(where)) {
        await make(alice)
        assert.ok(hsm.keys.count > before, what)
      } else {
        const message = new RegExp(`^invalid mechanism: .* on ${place.hsmType} in ${place.mode} mode: .*\\(.+\\)$`)
        await assert.rejects(make(alice), { code: 'MechanismInvalid', message }, what)
        assert.equal(hsm.keys.count, before, what)
      }
    }
  })

  test(`${place.hsmType} in ${place.mode} mode makes no key of a size that the table does not have`, async () => {
    const hsm = await startInProcess(place)
    const alice = hsm.as('alice')
    const rsa = (modulusBits: number, mechanism: 'rsa-pkcs' | 'rsa-x9-31') =>
      alice.call('key-generate-rsa', { modulusBits, publicExponent: 65_537, mechanism, ...pair })
    const secret = (op: 'key-generate-aes' | 'key-generate-generic-secret', lengthBytes: number) =>
      alice.call(op, { lengthBytes: lengthBytes as 16, attributes, ...one })
    for (const [ask, sizes, rule] of [
      [(bits) => rsa(bits, 'rsa-pkcs'), [1024, 2047, 2176, 4097, 8192], /not \d+: an RSA modulus .*FIPS 186-5/],
      [(bits) => rsa(bits, 'rsa-x9-31'), [1024, 2176, 8192], /not \d+: an RSA modulus .*FIPS 186-5/],
      [(bytes) => secret('key-generate-aes', bytes), [8, 20, 64], /not \d+: a key of type aes .*FIPS 197/],
      [(bytes) => secret('key-generate-generic-secret', bytes), [0, 801], /not \d+: .*1 to 800 bytes \(AWS/],
      [() => ec('prime192v1' as 'prime256v1')(alice), [192], /^curve: /],
      [() => mlDsa('ML-DSA-128' as 'ML-DSA-44')(alice), [128], /^parameterSet: /],
      [() => mlKem('ML-KEM-2048' as 'ML-KEM-512')(alice), [2048], /^parameterSet: /],
    ] as readonly (readonly [ask: (size: number) => Promise<unknown>, sizes: readonly number[], rule: RegExp])[]) {
      for (const size of sizes) await assert.rejects(ask(size), { code: 'InvalidRequest', message: rule })
    }
    assert.equal(hsm.keys.count, 0)
  })
}
