/** Every row of the policy table both ways, with real keys: what it allows is done, what it does not is refused. */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { before, test } from 'node:test'
import { CLUSTER_MODES, HSM_TYPES } from '../../../provider-schema/limits.ts'
import { settled } from '../later.ts'
import { requirePublicExponent } from '../policy/key-policy.ts'
import { requireAllowed, type Place } from '../policy/mechanism-policy.ts'
import { CURVE_STRENGTH, DIGEST_STRENGTH } from '../policy/modes.ts'
import {
  isAllowed,
  ORIGINS,
  POLICY_TABLE,
  type Origin,
  type PolicyMechanism,
  type PolicyOperation,
  type PolicyRow,
} from '../policy/policy-table.ts'
import { EC_CURVES, HASHES } from '../protocol/mechanisms.ts'
import { CURVE_ID } from './curves.ts'
import { generateEc } from './ec.ts'
import { decapsulate, encapsulate } from './ml-kem.ts'
import {
  decrypt,
  deriveMaterial,
  encrypt,
  importMaterial,
  sign,
  unwrapMaterial,
  verify,
  wrapMaterial,
  type SignatureParams,
  type UsableKey,
} from './registry.ts'
import type { DecryptParams, EncryptParams } from './encryption.ts'
import type { UnwrapParams, WrapParams } from './wrap.ts'
import { keysOfEveryType, usable, usablePair, type TestKeys } from './testing/keys.ts'

let keys: TestKeys

before(async () => {
  keys = await keysOfEveryType()
})

const NON_FIPS_HSM2M = { mode: 'NON_FIPS', hsmType: 'hsm2m.medium' } as const
const DATA = Buffer.from('sixteen bytes it')
const IV16 = Buffer.alloc(16, 1)
const IV8 = Buffer.alloc(8, 1)
const RAW = { dataType: 'raw' } as const

const SIGNING: Readonly<Record<string, SignatureParams>> = {
  'rsa-pkcs': { name: 'rsa-pkcs', hash: 'sha256', ...RAW },
  'rsa-pkcs-unhashed': { name: 'rsa-pkcs-unhashed' },
  'rsa-x509': { name: 'rsa-x509' },
  'rsa-pkcs-pss': { name: 'rsa-pkcs-pss', hash: 'sha256', mgf: 'sha256', saltLength: 32, ...RAW },
  ecdsa: { name: 'ecdsa', hash: 'sha256', ...RAW },
  hmac: { name: 'hmac', hash: 'sha256' },
  'aes-cmac': { name: 'aes-cmac' },
  ed25519: { name: 'ed25519' },
  ed25519ph: { name: 'ed25519ph', hash: 'sha512', ...RAW },
  'ml-dsa': { name: 'ml-dsa', ...RAW },
}

const CIPHERS: Readonly<Record<string, EncryptParams>> = {
  'aes-gcm': { name: 'aes-gcm', tagBits: 128 },
  'cloudhsm-aes-gcm': { name: 'cloudhsm-aes-gcm', tagBits: 128 },
  'aes-ecb': { name: 'aes-ecb' },
  'aes-cbc': { name: 'aes-cbc', iv: IV16 },
  'aes-cbc-pad': { name: 'aes-cbc-pad', iv: IV16 },
  'aes-ctr': { name: 'aes-ctr', iv: IV16, counterBits: 128 },
  'des3-ecb': { name: 'des3-ecb' },
  'des3-cbc': { name: 'des3-cbc', iv: IV8 },
  'des3-cbc-pad': { name: 'des3-cbc-pad', iv: IV8 },
  'rsa-pkcs': { name: 'rsa-pkcs' },
  'rsa-oaep': { name: 'rsa-oaep', hash: 'sha256' },
  'rsa-x509': { name: 'rsa-x509' },
}

const WRAPS: Readonly<Record<string, WrapParams>> = {
  'aes-no-pad': { name: 'aes-no-pad' },
  'aes-zero-pad': { name: 'aes-zero-pad' },
  'aes-pkcs5-pad': { name: 'aes-pkcs5-pad' },
  'aes-gcm': { name: 'aes-gcm', tagBits: 128 },
  'cloudhsm-aes-gcm': { name: 'cloudhsm-aes-gcm', tagBits: 64 },
  'rsa-pkcs': { name: 'rsa-pkcs' },
  'rsa-oaep': { name: 'rsa-oaep', hash: 'sha1' },
  'rsa-aes': { name: 'rsa-aes', hash: 'sha256' },
}

function found<Params>(table: Readonly<Record<string, Params>>, mechanism: string): Params {
  const params = table[mechanism]
  if (!params) throw new Error(`no parameters to test ${mechanism} with`)
  return params
}

function signers(mechanism: string) {
  if (mechanism.startsWith('rsa')) return keys.rsa
  if (mechanism === 'ecdsa') return keys.ec
  if (mechanism.startsWith('ed25519')) return keys.ed25519
  if (mechanism === 'ml-dsa') return keys.mlDsa
  const secret = mechanism === 'hmac' ? keys.generic : keys.aes
  return { open: secret, secret }
}

function ciphers(mechanism: string) {
  if (mechanism.startsWith('rsa')) return keys.rsa
  const secret = mechanism.startsWith('des3') ? keys.des3 : keys.aes
  return { open: secret, secret }
}

const payload = () => ({ class: 'secret-key', type: 'aes', bytes: keys.aes.object.export() }) as const

const KEY_TYPES = ['rsa', 'ec', 'ed25519', 'ml-dsa', 'ml-kem', 'aes', 'des3', 'generic-secret'] as const
type KeyOf = (typeof KEY_TYPES)[number]
const isKeyType = (name: string): name is KeyOf => KEY_TYPES.some((known) => known === name)

type Brought = Exclude<Origin, 'generate'>

/** Makes a key of the bytes of one of its type and of an allowed size. */
function bringIn(type: PolicyMechanism, origin: Brought, place: Place): void {
  if (type === 'aes' || type === 'des3' || type === 'generic-secret') {
    const bytes = { aes: keys.aes, des3: keys.des3, 'generic-secret': keys.generic }[type].object.export()
    importMaterial({ class: 'secret-key', type, origin, ...place }, bytes)
    return
  }
  const pairs = { rsa: keys.rsa, ec: keys.ec, ed25519: keys.ed25519, 'ml-dsa': keys.mlDsa, 'ml-kem': keys.mlKem }
  const { open, secret } = found(pairs, type)
  importPair({ publicKey: open.object, privateKey: secret.object }, open.type, origin, place)
}

interface KeyObjects {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

function importPair(
  { publicKey, privateKey }: KeyObjects,
  type: UsableKey['type'],
  origin: Brought,
  place: Place,
): void {
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  assert.equal(importMaterial({ class: 'public-key', type, origin, ...place }, spki).attributes['key-type'], type)
  assert.deepEqual(importMaterial({ class: 'private-key', type, origin, ...place }, pkcs8).bytes, pkcs8)
}

/** Does the work of a row's mechanism at a place; what must come before is done where everything is allowed. */
const DO: Readonly<Record<PolicyOperation, (mechanism: PolicyMechanism, place: Place) => Promise<void>>> = {
  async sign(mechanism, place) {
    const params = found(SIGNING, mechanism)
    await settled(sign(params, { key: signers(mechanism).secret, data: DATA, place: 'inline', ...place }))
  },
  async verify(mechanism, place) {
    const params = found(SIGNING, mechanism)
    const { open, secret } = signers(mechanism)
    const request = { data: DATA, place: 'inline' } as const
    const signature = await settled(sign(params, { key: secret, ...request, ...NON_FIPS_HSM2M }))
    assert.equal(await verify(params, { key: open, ...request, ...place, signature }), true)
  },
  async encrypt(mechanism, place) {
    await Promise.resolve()
    const { ciphertext } = encrypt(found(CIPHERS, mechanism), { key: ciphers(mechanism).open, data: DATA, ...place })
    assert.notDeepEqual(ciphertext, DATA)
  },
  async decrypt(mechanism, place) {
    await Promise.resolve()
    const params = found(CIPHERS, mechanism)
    const { open, secret } = ciphers(mechanism)
    const { iv, ciphertext } = encrypt(params, { key: open, data: DATA, ...NON_FIPS_HSM2M })
    const back: DecryptParams = params.name === 'aes-gcm' ? { ...params, iv } : params
    assert.deepEqual(decrypt(back, { key: secret, data: ciphertext, ...place }).subarray(-DATA.length), DATA)
  },
  async wrap(mechanism, place) {
    await Promise.resolve()
    const { wrapped } = wrapMaterial(found(WRAPS, mechanism), {
      key: ciphers(mechanism).open,
      payload: payload(),
      ...place,
    })
    assert.ok(wrapped.length >= 32)
  },
  async unwrap(mechanism, place) {
    await Promise.resolve()
    if (isKeyType(mechanism)) {
      bringIn(mechanism, 'unwrap', place)
      return
    }
    const { open, secret } = ciphers(mechanism)
    if (mechanism === 'aes-cbc-pad') {
      const { ciphertext } = encrypt(found(CIPHERS, mechanism), { key: open, data: DATA, ...NON_FIPS_HSM2M })
      const params = { name: mechanism, iv: IV16 } as const
      assert.deepEqual(unwrapMaterial(params, { key: secret, wrapped: ciphertext, ...place }), DATA)
      return
    }
    const params = found(WRAPS, mechanism)
    const { wrapped, iv } = wrapMaterial(params, { key: open, payload: payload(), ...NON_FIPS_HSM2M })
    const back: UnwrapParams = params.name === 'aes-gcm' ? { ...params, iv: iv ?? IV16 } : params
    assert.deepEqual(unwrapMaterial(back, { key: secret, wrapped, ...place }), payload().bytes)
  },
  async derive(mechanism, place) {
    if (isKeyType(mechanism)) {
      bringIn(mechanism, 'derive', place)
      return
    }
    const request = { lengthBytes: 32, ...place }
    if (mechanism === 'ecdh-x963') {
      const other = await generateEc('prime256v1')
      const publicKey = other.publicKey.bytes.subarray(-65)
      deriveMaterial({ name: mechanism, hash: 'sha256', publicKey }, { key: keys.ec.secret, ...request })
      return
    }
    const data = [{ field: 'counter', bits: 32 }] as const
    deriveMaterial(
      { name: 'sp800-108-counter', prf: 'hmac-sha256', data: [...data] },
      { key: keys.generic, ...request },
    )
  },
  async encapsulate(_mechanism, place) {
    await Promise.resolve()
    assert.equal(encapsulate(keys.mlKem.open, place).sharedSecret.length, 32)
  },
  async decapsulate(_mechanism, place) {
    await Promise.resolve()
    const { sharedSecret, ciphertext } = encapsulate(keys.mlKem.open, NON_FIPS_HSM2M)
    assert.deepEqual(decapsulate(keys.mlKem.secret, ciphertext, place), sharedSecret)
  },
  async import(mechanism, place) {
    await Promise.resolve()
    bringIn(mechanism, 'import', place)
  },
  // The client port asks the table before it makes a key or a digest: `client-port/mechanisms.test.ts`.
  async generate(mechanism, place) {
    await Promise.resolve()
    requireAllowed(mechanism, 'generate', place)
  },
  async digest(mechanism, place) {
    await Promise.resolve()
    requireAllowed(mechanism, 'digest', place)
  },
}

for (const row of POLICY_TABLE as readonly PolicyRow[]) {
  for (const operation of row.operations) {
    for (const mechanism of row.mechanisms as readonly PolicyMechanism[]) {
      test(`${operation} with ${mechanism}: ${row.modes.join(' and ')} on ${row.hsmTypes.join(' and ')}`, async () => {
        for (const mode of CLUSTER_MODES) {
          for (const hsmType of HSM_TYPES) {
            const work = DO[operation](mechanism, { mode, hsmType })
            if (isAllowed(row, mode, hsmType)) await work
            else {
              await assert.rejects(work, (error: Error & { code?: string }) => {
                assert.equal(error.code, 'MechanismInvalid')
                const impossible = mode === 'NON_FIPS' && hsmType === 'hsm1.medium'
                assert.ok(impossible || (error.message.includes(row.rule) && error.message.includes(row.source)))
                return true
              })
            }
          }
        }
      })
    }
  }
}

for (const curve of EC_CURVES) {
  for (const hash of HASHES) {
    const strong = DIGEST_STRENGTH[hash] >= CURVE_STRENGTH[curve]
    test(`FIPS mode ${strong ? 'signs' : 'refuses'} ${hash} on ${curve}; NON_FIPS mode signs, and all verify`, async () => {
      const { open, secret } = usablePair(await generateEc(CURVE_ID[curve]))
      const params = { name: 'ecdsa', hash, dataType: 'raw' } as const
      const fips = { mode: 'FIPS', hsmType: 'hsm2m.medium' } as const
      const request = { data: DATA, place: 'inline' } as const
      const signature = await settled(sign(params, { key: secret, ...request, ...NON_FIPS_HSM2M }))
      assert.equal(await verify(params, { key: open, ...request, ...fips, signature }), true)
      const digest = { ...params, dataType: 'digest' } as const
      const data = createHash(hash).update(DATA).digest()
      assert.equal(await verify(digest, { key: open, ...request, data, ...fips, signature }), true)
      const inFips = () => settled(sign(params, { key: secret, ...request, ...fips }))
      if (strong) await inFips()
      else assert.throws(inFips, { code: 'MechanismInvalid', message: /weaker than the key.*FIPS 186-5/ })
    })
  }
}

test('hsm2m.medium unwraps with AES-CBC unless the IV is all zeros; hsm1.medium unwraps with any', () => {
  const iv = Buffer.alloc(16)
  const { ciphertext } = encrypt({ name: 'aes-cbc-pad', iv }, { key: keys.aes, data: DATA, ...NON_FIPS_HSM2M })
  const unwrap = (hsmType: string) =>
    unwrapMaterial({ name: 'aes-cbc-pad', iv }, { key: keys.aes, wrapped: ciphertext, mode: 'FIPS', hsmType })
  assert.deepEqual(unwrap('hsm1.medium'), DATA)
  assert.throws(() => unwrap('hsm2m.medium'), { code: 'MechanismInvalid', message: /IV of zeros.*known issues/ })
})

/** Keys that there are, of sizes that the table has and has not: made once, brought in at every place. */
const pairOf = {
  rsa: (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }),
  ec: (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }),
  'ml-dsa': (set: 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87') => generateKeyPairSync(set, {}),
  'ml-kem': (set: 'ml-kem-512' | 'ml-kem-768' | 'ml-kem-1024') => generateKeyPairSync(set, {}),
}
const PAIRS: readonly {
  readonly type: 'rsa' | 'ec' | 'ml-dsa' | 'ml-kem'
  readonly size: string
  readonly pair: () => KeyObjects
  readonly refusal?: RegExp
}[] = [
  ...[2048, 2304].map((bits) => ({ type: 'rsa', size: `${bits} bits`, pair: () => pairOf.rsa(bits) }) as const),
  ...[1024, 2056].map(
    (bits) =>
      ({
        type: 'rsa',
        size: `${bits} bits`,
        pair: () => pairOf.rsa(bits),
        refusal: new RegExp(`^not ${bits}: an RSA modulus .*FIPS 186-5`),
      }) as const,
  ),
  ...EC_CURVES.map((curve) => ({ type: 'ec', size: curve, pair: () => pairOf.ec(CURVE_ID[curve]) }) as const),
  ...['prime192v1', 'brainpoolP256r1', 'sect283k1'].map(
    (curve) =>
      ({
        type: 'ec',
        size: curve,
        pair: () => pairOf.ec(curve),
        refusal: /an EC key is on P-224.*SP 800-186/,
      }) as const,
  ),
  ...(['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const).map(
    (set) => ({ type: 'ml-dsa', size: set, pair: () => pairOf['ml-dsa'](set) }) as const,
  ),
  ...(['ml-kem-512', 'ml-kem-768', 'ml-kem-1024'] as const).map(
    (set) => ({ type: 'ml-kem', size: set, pair: () => pairOf['ml-kem'](set) }) as const,
  ),
]

/** Calls for each place where the table lets the type in, and for each way in. */
function everywhere(type: KeyOf, attempt: (origin: Brought, place: Place) => void): void {
  let attempts = 0
  for (const row of POLICY_TABLE as readonly PolicyRow[]) {
    if (!row.mechanisms.includes(type)) continue
    for (const origin of ORIGINS) {
      if (origin === 'generate' || !row.operations.includes(origin)) continue
      for (const mode of CLUSTER_MODES) {
        for (const hsmType of HSM_TYPES) {
          if (!isAllowed(row, mode, hsmType)) continue
          attempt(origin, { mode, hsmType })
          attempts += 1
        }
      }
    }
  }
  assert.ok(attempts > 0)
}

for (const { type, size, pair, refusal } of PAIRS) {
  test(`${type} keys of ${size} are ${refusal ? 'refused' : 'taken'} wherever ${type} keys may come in`, () => {
    const made = pair()
    everywhere(type, (origin, place) => {
      if (!refusal) {
        importPair(made, type, origin, place)
        return
      }
      for (const [keyClass, bytes] of [
        ['public-key', made.publicKey.export({ type: 'spki', format: 'der' })],
        ['private-key', made.privateKey.export({ type: 'pkcs8', format: 'der' })],
      ] as const) {
        const attempt = () => importMaterial({ class: keyClass, type, origin, ...place }, bytes)
        assert.throws(attempt, { code: 'MechanismInvalid', message: refusal }, `${keyClass} ${place.hsmType}`)
      }
    })
  })
}

test('an exponent is odd and at least 65537', () => {
  for (const exponent of [65_537n, 65_539n, (1n << 256n) - 1n]) requirePublicExponent(exponent)
  for (const exponent of [0n, 1n, 3n, 65_535n, 65_536n, 65_538n, (1n << 256n) + 1n]) {
    assert.throws(() => requirePublicExponent(exponent), { code: 'MechanismInvalid', message: /FIPS 186-5/ })
  }
})

for (const [type, good, bad] of [
  ['aes', [16, 24, 32], [0, 8, 15, 17, 33, 64]],
  ['des3', [24], [8, 16, 23, 25]],
  ['generic-secret', [14, 20, 800], [0, 801]],
] as const) {
  test(`secret keys of type ${type} have ${good.join(', ')} bytes wherever they may come in`, () => {
    everywhere(type, (origin, place) => {
      const bring = (length: number) =>
        importMaterial({ class: 'secret-key', type, origin, ...place }, Buffer.alloc(length, 1))
      for (const length of good) assert.equal(bring(length).bytes.length, length)
      for (const length of bad) {
        assert.throws(() => bring(length), {
          code: 'MechanismInvalid',
          message: new RegExp(`^not ${length}: .*\\(.+\\)$`),
        })
      }
    })
  })
}

test('a generic secret that is derived has 14 bytes at least; one that is brought in or unwrapped may have one', () => {
  everywhere('generic-secret', (origin, place) => {
    const bring = () =>
      importMaterial({ class: 'secret-key', type: 'generic-secret', origin, ...place }, Buffer.alloc(13))
    if (origin !== 'derive') assert.equal(bring().bytes.length, 13)
    else assert.throws(bring, { code: 'MechanismInvalid', message: /^not 13: a derived key has 14 .*SP 800-131A/ })
  })
})

test('an attribute that is false, the other half of a pair and another type of key are refused', () => {
  const aes = importMaterial({ class: 'secret-key', type: 'aes', ...NON_FIPS_HSM2M }, Buffer.alloc(16, 1))
  const request = { data: DATA, ...NON_FIPS_HSM2M }
  assert.throws(() => encrypt({ name: 'aes-ecb' }, { key: usable(aes, 'encrypt'), ...request }), {
    code: 'KeyFunctionNotPermitted',
    message: /attribute encrypt is false/,
  })
  assert.throws(() => decrypt({ name: 'rsa-pkcs' }, { key: keys.rsa.open, ...request }), {
    code: 'KeyFunctionNotPermitted',
  })
  assert.throws(() => encrypt({ name: 'aes-ecb' }, { key: keys.des3, ...request }), { code: 'MechanismInvalid' })
  assert.throws(() => encapsulate(keys.rsa.open, NON_FIPS_HSM2M), { code: 'MechanismInvalid' })
  assert.throws(() => sign({ name: 'ed25519' }, { key: keys.ec.secret, place: 'inline', ...request }), {
    code: 'MechanismInvalid',
  })
  const ecdsa = { name: 'ecdsa', hash: 'sha256', dataType: 'raw' } as const
  assert.throws(() => sign(ecdsa, { key: keys.ed25519.secret, place: 'inline', ...request }), {
    code: 'MechanismInvalid',
  })
})
