/**
 * Known attacks on key-management APIs, each as its steps. The attacker is a crypto user, or a program with one's
 * password, and calls whatever there is, in any order, on keys that are this user's own. What must stay secret:
 *
 * - a key that is not extractable, always;
 * - a key that is to be wrapped with trusted keys only, from key separation `trusted` on (the default);
 * - every sensitive key, with key separation `strict`.
 *
 * Names: J. Clulow, "On the security of PKCS#11", CHES 2003; S. Delaune, S. Kremer, G. Steel, "Formal analysis of
 * PKCS#11", CSF 2008; M. Bortolozzo, M. Centenaro, R. Focardi, G. Steel, "Attacking and fixing PKCS#11 security tokens"
 * (Tookan), CCS 2010; R. Bardou et al., "Efficient padding oracle attacks on cryptographic hardware", CRYPTO 2012.
 */
import assert from 'node:assert/strict'
import { createCipheriv, generateKeyPairSync, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { KeySeparation } from '../../../provider-schema/key-separation.ts'
import type { AttributeTemplate, KeyInfo } from '../protocol/attributes.ts'
import { activatedCluster, aliceOn } from '../testing/activated.ts'
import { startInProcess, type InProcessSession } from './testing/in-process.ts'

const once = { requireTwoCopies: false } as const
const gcm = { name: 'aes-gcm' } as const
const oaep = { name: 'rsa-oaep', hash: 'sha256' } as const
const forTrusted = { 'wrap-with-trusted': true } as const

async function world(keySeparation: KeySeparation = 'trusted') {
  const hsm = await startInProcess({ keySeparation })
  const alice = hsm.as('alice')
  const admin = hsm.as('admin')
  const aes = async (attributes: AttributeTemplate = {}, session = alice) =>
    (await session.call('key-generate-aes', { lengthBytes: 32, attributes, ...once })).key
  const rsa = (publicAttributes: AttributeTemplate, privateAttributes: AttributeTemplate) =>
    alice.call('key-generate-rsa', {
      modulusBits: 2048,
      publicExponent: 65537,
      publicAttributes,
      privateAttributes,
      ...once,
    })
  const importAes = async (key: Uint8Array, attributes: AttributeTemplate, session = alice) => {
    const copy = Uint8Array.from(key)
    const params = { class: 'secret-key', type: 'aes', key: copy, attributes, ...once } as const
    return (await session.call('key-import', params)).key
  }
  const set = (key: KeyInfo, attributes: AttributeTemplate, session: InProcessSession = alice) =>
    session.call('key-set-attribute', { handle: key.handle, attributes })
  const trust = (key: KeyInfo, trusted = true) => set(key, { trusted }, admin)
  const wrap = (wrapping: KeyInfo, payload: KeyInfo, session = alice) =>
    session.call('key-wrap', {
      handle: payload.handle,
      wrappingHandle: wrapping.handle,
      mechanism: wrapping.attributes['key-type'] === 'rsa' ? oaep : gcm,
      ...once,
    })
  const unwrap = async (
    key: KeyInfo,
    { wrapped, iv = new Uint8Array(12) }: { wrapped: Uint8Array; iv?: Uint8Array | undefined },
    attributes: AttributeTemplate = {},
    type: 'aes' | 'generic-secret' = 'aes',
  ) => {
    const made = await alice.call('key-unwrap', {
      handle: key.handle,
      mechanism: key.attributes['key-type'] === 'rsa' ? oaep : { ...gcm, iv },
      wrapped,
      class: 'secret-key',
      type,
      attributes,
      defaults: 'pkcs11',
      ...once,
    })
    return made.key
  }
  return { hsm, alice, admin, bob: hsm.as('bob'), aes, rsa, importAes, set, trust, wrap, unwrap }
}

const policy = (message: RegExp) => ({ code: 'PolicyRefused', message })
const notPermitted = (message: RegExp) => ({ code: 'KeyFunctionNotPermitted', message })

test('Tookan a1 (Clulow: key separation): wrap with a secret key, decrypt with the same', async () => {
  const trusted = await world()
  const target = await trusted.aes(forTrusted)
  const reader = await trusted.aes({ wrap: true, decrypt: true })
  await assert.rejects(trusted.wrap(reader, target), notPermitted(/trusted keys only/))
  await trusted.trust(reader)
  await assert.rejects(trusted.wrap(reader, target), policy(/decrypts data does not wrap/))

  const strict = await world('strict')
  await assert.rejects(strict.aes({ wrap: true, decrypt: true }), policy(/neither encrypts nor decrypts/))
  const plain = await strict.aes()
  const wrapping = await strict.aes({ wrap: true })
  await strict.wrap(wrapping, plain)
  for (const change of [{ decrypt: true }, { encrypt: true }, { wrap: false }]) {
    await assert.rejects(strict.set(wrapping, change), policy(/chosen when a key is made/))
  }
})

test("Tookan a1 works where the operator asks for AWS's rules alone: what the other levels are for", async () => {
  const { alice, aes, importAes, wrap } = await world('aws')
  const target = await aes()
  const reader = await aes({ wrap: true, decrypt: true })
  const { wrapped, iv } = await wrap(reader, target)
  const mechanism = { ...gcm, iv: iv ?? new Uint8Array() }
  const { plaintext } = await alice.call('decrypt', { handle: reader.handle, mechanism, data: wrapped, ...once })
  const copy = await importAes(plaintext, {})
  assert.equal(copy.attributes['check-value'], target.attributes['check-value'])
})

test('Tookan a2: wrap with a public key, decrypt with its private half', async () => {
  const trusted = await world()
  const target = await trusted.aes(forTrusted)
  const pair = await trusted.rsa({ wrap: true }, { decrypt: true, unwrap: true })
  await trusted.trust(pair.publicKey)
  await assert.rejects(trusted.wrap(pair.publicKey, target), policy(/decrypts data does not wrap/))
  // Switched off for the wrapping, decrypting does not come back for the reading.
  await trusted.set(pair.privateKey, { decrypt: false })
  await trusted.wrap(pair.publicKey, target)
  await assert.rejects(trusted.set(pair.privateKey, { decrypt: true }), policy(/ever trusted/))

  const strict = await world('strict')
  await assert.rejects(strict.rsa({ wrap: true }, { decrypt: true }), policy(/neither encrypts nor decrypts/))
})

test('Tookan a3: sensitive keys read in clear', async () => {
  const { alice, aes, rsa } = await world()
  const target = await aes()
  await assert.rejects(alice.call('key-value', { handle: target.handle }), notPermitted(/not sensitive/))
  const { privateKey } = await rsa({}, { sensitive: false })
  await assert.rejects(alice.call('key-value', { handle: privateKey.handle }), notPermitted(/secret key/))
})

test('Tookan a4: keys that are not extractable leave the HSM, in clear or wrapped', async () => {
  const { alice, aes, wrap, trust } = await world()
  const target = await aes({ extractable: false })
  await assert.rejects(alice.call('key-value', { handle: target.handle }), notPermitted(/extractable/))
  const wrapping = await aes({ wrap: true })
  await trust(wrapping)
  await assert.rejects(wrap(wrapping, target), notPermitted(/extractable is false/))
  const { key } = await alice.call('key-generate-aes', {
    lengthBytes: 16,
    attributes: { sensitive: false, extractable: false },
    defaults: 'pkcs11',
  })
  await assert.rejects(alice.call('key-value', { handle: key.handle }), notPermitted(/extractable/))
})

for (const [attributes, back] of [
  [{}, { sensitive: false }],
  [{ extractable: false }, { extractable: true }],
  [{ 'wrap-with-trusted': true }, { 'wrap-with-trusted': false }],
  [{}, { 'always-sensitive': false }],
  [{ extractable: false }, { 'never-extractable': false }],
  [{ modifiable: false }, { modifiable: true }],
] as const) {
  test(`Tookan a5: a key made with ${JSON.stringify(attributes)} becomes ${JSON.stringify(back)}`, async () => {
    const { alice, aes, set } = await world()
    const target = await aes(attributes)
    await assert.rejects(set(target, back), /cannot be changed|modifiable is false/)
    const { keys } = await alice.call('key-describe', { handles: [target.handle] })
    assert.deepEqual(keys, [target])
  })
}

test('re-import: a wrapped key comes back with weaker attributes', async () => {
  const { aes, importAes, trust, wrap, unwrap, alice } = await world()
  const target = await aes(forTrusted)
  const wrapping = await aes({ wrap: true, unwrap: true, extractable: false })
  await trust(wrapping)
  const blob = await wrap(wrapping, target)
  await assert.rejects(unwrap(wrapping, blob, { 'wrap-with-trusted': false }), { code: 'InvalidRequest' })
  await assert.rejects(unwrap(wrapping, blob, { sensitive: false }), { code: 'InvalidRequest' })
  const back = await unwrap(wrapping, blob)
  assert.deepEqual([back.attributes['wrap-with-trusted'], back.attributes.sensitive], [true, true])
  assert.deepEqual([back.attributes.local, back.attributes['always-sensitive']], [false, false])
  const known = await importAes(randomBytes(32), { wrap: true })
  await assert.rejects(wrap(known, back), notPermitted(/trusted keys only/))
  await assert.rejects(alice.call('key-value', { handle: back.handle }), notPermitted(/not sensitive/))
})

test('re-import as another type: an AES key comes back as a generic secret that can be read', async () => {
  const { aes, trust, wrap, unwrap, alice } = await world()
  const target = await aes(forTrusted)
  const wrapping = await aes({ wrap: true, unwrap: true, extractable: false })
  await trust(wrapping)
  const blob = await wrap(wrapping, target)
  await assert.rejects(unwrap(wrapping, blob, { sensitive: false }, 'generic-secret'), { code: 'InvalidRequest' })
  const secret = await unwrap(wrapping, blob, {}, 'generic-secret')
  await assert.rejects(alice.call('key-value', { handle: secret.handle }), notPermitted(/not sensitive/))
})

test('re-import through the private half of a trusted public key', async () => {
  const { aes, rsa, trust, wrap, unwrap } = await world()
  const target = await aes(forTrusted)
  const { publicKey, privateKey } = await rsa({ wrap: true }, { unwrap: true })
  await trust(publicKey)
  const blob = await wrap(publicKey, target)
  await assert.rejects(unwrap(privateKey, blob, { 'wrap-with-trusted': false }), { code: 'InvalidRequest' })
  assert.equal((await unwrap(privateKey, blob)).attributes['wrap-with-trusted'], true)
})

test('re-import of a wrapping key that then decrypts what it wrapped', async () => {
  const trusted = await world()
  const [one, other] = [
    await trusted.aes({ wrap: true, unwrap: true }),
    await trusted.aes({ wrap: true, unwrap: true }),
  ]
  await trusted.trust(one)
  await trusted.trust(other)
  await assert.rejects(trusted.wrap(other, one), policy(/ever trusted does not leave/))
  await trusted.trust(one, false)
  await assert.rejects(trusted.wrap(other, one), policy(/ever trusted does not leave/))

  const strict = await world('strict')
  const [first, second] = [await strict.aes({ wrap: true }), await strict.aes({ wrap: true, unwrap: true })]
  await assert.rejects(strict.wrap(second, first), policy(/wraps or unwraps keys does not leave/))
})

for (const token of [true, false]) {
  test(`trojan wrapping key: a ${token ? 'token' : 'session'} key of known value wraps the target`, async () => {
    const trusted = await world()
    const target = await trusted.aes(forTrusted)
    const known = await trusted.importAes(randomBytes(32), { wrap: true, token })
    await assert.rejects(trusted.wrap(known, target), notPermitted(/trusted keys only/))

    const strict = await world('strict')
    const trojan = await strict.importAes(randomBytes(32), { wrap: true, token })
    await assert.rejects(strict.wrap(trojan, await strict.aes()), policy(/came from outside/))
  })
}

test('trojan public key: a public key whose private half the attacker has wraps the target', async () => {
  const trojan = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' })
  for (const level of ['trusted', 'strict'] as const) {
    const { alice, aes, wrap } = await world(level)
    const target = await aes(forTrusted)
    const { key } = await alice.call('key-import', {
      class: 'public-key',
      type: 'rsa',
      key: Uint8Array.from(trojan),
      attributes: { wrap: true },
      ...once,
    })
    await assert.rejects(wrap(key, target), notPermitted(/trusted keys only/))
    if (level === 'strict') await assert.rejects(wrap(key, await aes()), policy(/came from outside/))
  }
})

test('encrypt and unwrap: a known value becomes a key by encrypting it with an unwrapping key', async () => {
  const trusted = await world()
  const wrapping = await trusted.aes({ wrap: true, unwrap: true })
  await trusted.trust(wrapping)
  await assert.rejects(trusted.set(wrapping, { encrypt: true }), policy(/ever trusted/))

  const strict = await world('strict')
  await assert.rejects(strict.aes({ encrypt: true, unwrap: true }), policy(/neither encrypts nor decrypts/))
})

test('key conjuring: keys out of random bytes, or of blocks that can be cut and joined', async () => {
  const { alice, hsm, aes } = await world()
  const unwrapping = await aes({ unwrap: true })
  const before = hsm.keys.count
  const conjure = (mechanism: Parameters<typeof alice.call<'key-unwrap'>>[1]['mechanism'], wrapped: Uint8Array) =>
    alice.call('key-unwrap', {
      handle: unwrapping.handle,
      mechanism,
      wrapped,
      class: 'secret-key',
      type: 'aes',
      attributes: {},
      ...once,
    })
  for (const mechanism of [
    { name: 'aes-no-pad' },
    { name: 'aes-zero-pad' },
    { name: 'aes-pkcs5-pad' },
    { ...gcm, iv: randomBytes(12) },
    { name: 'cloudhsm-aes-gcm' },
  ] as const) {
    await assert.rejects(conjure(mechanism, randomBytes(48)), { code: 'DecryptionFailed' })
  }
  // What is not in the list of mechanisms is no request at all: AES-ECB wraps and unwraps nothing.
  const ecb = { name: 'aes-ecb' } as unknown as typeof gcm & { iv: Uint8Array }
  await assert.rejects(conjure(ecb, randomBytes(48)), { code: 'InvalidRequest' })
  assert.equal(hsm.keys.count, before)
})

test('padding oracle (Bardou et al.): unwrapping says the same whatever is wrong behind the padding', async () => {
  const { alice, aes } = await world()
  const key = await aes({ unwrap: true, encrypt: true })
  const iv = randomBytes(16)
  const sealed = async (data: Uint8Array) => {
    const mechanism = { name: 'aes-cbc', iv } as const
    return (await alice.call('encrypt', { handle: key.handle, mechanism, data, ...once })).ciphertext
  }
  const badPadding = await sealed(Buffer.alloc(32, 0xff))
  const badLength = await sealed(Buffer.concat([Buffer.alloc(31, 7), Buffer.from([1])]))
  const answers = []
  for (const wrapped of [badPadding, badLength]) {
    const mechanism = { name: 'aes-cbc-pad', iv } as const
    const params = { handle: key.handle, mechanism, wrapped, class: 'secret-key', type: 'aes', attributes: {} } as const
    answers.push(await alice.call('key-unwrap', { ...params, ...once }).catch((error: unknown) => String(error)))
  }
  assert.equal(answers[0], answers[1])
})

test('a key is wrapped with itself, a private key with its own public half', async () => {
  for (const level of ['aws', 'trusted'] as const) {
    const { alice, aes, rsa, wrap } = await world(level)
    const key = await aes({ wrap: true })
    await assert.rejects(wrap(key, key), notPermitted(/with itself/))
    const { publicKey, privateKey } = await rsa({ wrap: true }, {})
    const mechanism = { name: 'rsa-aes', hash: 'sha256' } as const
    const own = { handle: privateKey.handle, wrappingHandle: publicKey.handle, mechanism, ...once }
    await assert.rejects(alice.call('key-wrap', own), notPermitted(/own public half/))
  }
})

test('copies of a key: one is trusted and wraps, another decrypts', async () => {
  const { alice, aes, trust, wrap, unwrap, set, importAes } = await world()
  const target = await aes(forTrusted)
  const other = await aes({ wrap: true, unwrap: true })
  const wrapping = await aes({ wrap: true })
  // Taken before anybody trusted the key.
  const blob = await wrap(other, wrapping)
  const early = await unwrap(other, blob, { decrypt: true })
  await trust(wrapping)
  await assert.rejects(wrap(wrapping, target), policy(/decrypts data does not wrap/))
  await alice.call('key-delete', { handle: early.handle })
  await wrap(wrapping, target)
  await assert.rejects(unwrap(other, blob, { decrypt: true }), policy(/copy of a key that was ever trusted/))
  await assert.rejects(unwrap(other, blob, { encrypt: true }, 'generic-secret'), policy(/copy of a key/))
  const copy = await unwrap(other, blob, { unwrap: true })
  await assert.rejects(set(copy, { decrypt: true }), policy(/ever trusted/))
  await assert.rejects(wrap(await importAes(randomBytes(32), { wrap: true }), copy), policy(/does not leave/))
})

test('copies of a public key: untrusted ones stand before the trusted one', async () => {
  const { alice, aes, rsa, trust, wrap, unwrap, set } = await world()
  const target = await aes(forTrusted)
  const { publicKey, privateKey } = await rsa({ wrap: true }, { unwrap: true })
  const { spki } = await alice.call('key-public', { handle: publicKey.handle })
  for (let i = 0; i < 8; i++) {
    const key = Uint8Array.from(spki)
    await alice.call('key-import', { class: 'public-key', type: 'rsa', key, attributes: { wrap: true }, ...once })
  }
  await trust(publicKey)
  const blob = await wrap(publicKey, target)
  await assert.rejects(set(privateKey, { decrypt: true }), policy(/ever trusted/))
  await assert.rejects(unwrap(privateKey, blob, { 'wrap-with-trusted': false }), { code: 'InvalidRequest' })
})

test('a decryption in parts that was begun before the key was trusted goes on afterwards', async () => {
  const { alice, aes, set, trust } = await world()
  const wrapping = await aes({ wrap: true, decrypt: true })
  const { handle } = wrapping
  const begin = { use: 'decrypt', handle, mechanism: { name: 'aes-ecb' }, ...once } as const
  const { operation } = await alice.call('part-begin', begin)
  await alice.call('part-update', { operation, data: randomBytes(16) })
  await set(wrapping, { decrypt: false })
  await trust(wrapping)
  await assert.rejects(
    alice.call('part-update', { operation, data: randomBytes(16) }),
    notPermitted(/decrypt is false/),
  )
})

test('the private half of a trusted public key leaves the HSM: it would read all that the public half wrapped', async () => {
  const { alice, aes, rsa, trust } = await world()
  const { publicKey, privateKey } = await rsa({ wrap: true }, { unwrap: true })
  await trust(publicKey)
  const wrapping = await aes({ wrap: true })
  const mechanism = { name: 'aes-zero-pad' } as const
  await assert.rejects(
    alice.call('key-wrap', { handle: privateKey.handle, wrappingHandle: wrapping.handle, mechanism, ...once }),
    policy(/ever trusted does not leave/),
  )
})

test('trust for the asking: owners, sharees and creators call a key trusted', async () => {
  const { aes, set, bob } = await world()
  const key = await aes({ wrap: true })
  await assert.rejects(aes({ trusted: true }), { code: 'InvalidRequest' })
  await assert.rejects(set(key, { trusted: true }), { code: 'PermissionDenied' })
  await assert.rejects(set(key, { trusted: true }, bob), { code: 'KeyNotFound' })
})

test('an admin strictly trusts only a key that nobody can have a copy of', async () => {
  const { aes, importAes, trust } = await world('strict')
  await assert.rejects(trust(await importAes(randomBytes(32), { wrap: true })), policy(/never extractable/))
  await assert.rejects(trust(await aes({ wrap: true })), policy(/never extractable/))
  await trust(await aes({ wrap: true, extractable: false }))
})

test('attribute races: trust and decrypt come at once', async () => {
  const { aes, set, trust, wrap } = await world()
  const target = await aes(forTrusted)
  const wrapping = await aes({ wrap: true })
  await Promise.allSettled([set(wrapping, { decrypt: true }), trust(wrapping)])
  await Promise.allSettled([trust(wrapping), set(wrapping, { decrypt: true })])
  await assert.rejects(wrap(wrapping, target), policy(/decrypts data does not wrap/))
})

test('attribute races: a key is wrapped while it stops being extractable', async () => {
  const { aes, set, wrap } = await world()
  const target = await aes()
  const wrapping = await aes({ wrap: true })
  await set(target, { extractable: false })
  const tries = await Promise.allSettled([wrap(wrapping, target), set(target, { label: 'x' }), wrap(wrapping, target)])
  assert.deepEqual(
    tries.map(({ status }) => status),
    ['rejected', 'fulfilled', 'rejected'],
  )
})

test('attribute game: what was wrapped while a key was trusted is decrypted after it no longer is', async () => {
  const { aes, set, trust, wrap } = await world()
  const wrapping = await aes({ wrap: true })
  await trust(wrapping)
  await wrap(wrapping, await aes(forTrusted))
  await trust(wrapping, false)
  await assert.rejects(set(wrapping, { decrypt: true }), policy(/ever trusted/))
  await assert.rejects(set(wrapping, { encrypt: true }), policy(/ever trusted/))
})

test('the unwrap-template of a trusted key is changed before the unwrapping', async () => {
  const { alice, aes, trust, wrap, unwrap, set } = await world()
  const { key: wrapping } = await alice.call('key-generate-aes', {
    lengthBytes: 32,
    attributes: { token: true, wrap: true, unwrap: true, 'unwrap-template': { extractable: false } },
    defaults: 'pkcs11',
    ...once,
  })
  await trust(wrapping)
  const blob = await wrap(wrapping, await aes(forTrusted))
  await assert.rejects(set(wrapping, { 'unwrap-template': {} }), policy(/unwrap-template/))
  await assert.rejects(unwrap(wrapping, blob, { extractable: true }), {
    code: 'InvalidRequest',
    message: /extractable/,
  })
  assert.equal((await unwrap(wrapping, blob)).attributes.extractable, false)
})

test('reduced key space (Clulow): a key is derived in ever longer pieces, each guessed from the one before', async () => {
  const { alice } = await world()
  const { key: base } = await alice.call('key-import', {
    class: 'secret-key',
    type: 'generic-secret',
    key: randomBytes(32),
    attributes: { derive: true },
    ...once,
  })
  const mechanism = {
    name: 'sp800-108-counter',
    prf: 'hmac-sha256',
    data: [{ field: 'counter', bits: 32 }],
  } as const
  const derive = (lengthBytes: number) =>
    alice.call('key-derive', {
      handle: base.handle,
      mechanism: { ...mechanism, data: [...mechanism.data] },
      type: 'generic-secret',
      lengthBytes,
      attributes: { sign: true },
      ...once,
    })
  for (const lengthBytes of [1, 2, 8, 13]) {
    await assert.rejects(derive(lengthBytes), { code: 'InvalidRequest', message: /112 bits/ })
  }
  await derive(14)
})

test('part of a key as a key (CKM_EXTRACT_KEY_FROM_KEY, CKM_XOR_BASE_AND_DATA): there are no such mechanisms', async () => {
  const { alice, aes } = await world()
  const base = await aes({ derive: true })
  for (const name of ['extract-key-from-key', 'xor-base-and-data', 'concatenate-base-and-key']) {
    const mechanism = { name } as unknown as Parameters<typeof alice.call<'key-derive'>>[1]['mechanism']
    await assert.rejects(
      alice.call('key-derive', {
        handle: base.handle,
        mechanism,
        type: 'aes',
        lengthBytes: 16,
        attributes: {},
        ...once,
      }),
      { code: 'InvalidRequest' },
    )
  }
})

test('a key derived from a guarded key is less guarded', async () => {
  const { alice, aes } = await world()
  const base = await aes({ derive: true, ...forTrusted })
  const derive = (attributes: AttributeTemplate) =>
    alice.call('key-derive', {
      handle: base.handle,
      mechanism: { name: 'sp800-108-counter', prf: 'aes-cmac', data: [{ field: 'counter', bits: 32 }] },
      type: 'aes',
      lengthBytes: 32,
      attributes,
      defaults: 'pkcs11',
      ...once,
    })
  await assert.rejects(derive({ sensitive: false }), { code: 'InvalidRequest' })
  await assert.rejects(derive({ 'wrap-with-trusted': false }), { code: 'InvalidRequest' })
  const { key } = await derive({})
  assert.deepEqual([key.attributes['wrap-with-trusted'], key.attributes.sensitive], [true, true])
})

test('derive and sign: a derived key is a code of its base key, which only a base key that does not sign keeps', async () => {
  const { alice } = await world()
  const data: [{ field: 'counter'; bits: 32 }] = [{ field: 'counter', bits: 32 }]
  const mechanism = { name: 'sp800-108-counter', prf: 'hmac-sha256', data } as const
  for (const sign of [true, false]) {
    const attributes = { derive: true, sign, ...forTrusted }
    const { handle } = (await alice.call('key-generate-generic-secret', { lengthBytes: 32, attributes, ...once })).key
    const derived = { type: 'aes', lengthBytes: 32, attributes: {}, ...once } as const
    const { key } = await alice.call('key-derive', { handle, mechanism, ...derived })
    const hmac = { mechanism: { name: 'hmac', hash: 'sha256' }, data: Buffer.from([0, 0, 0, 1]) } as const
    const code = alice.call('sign', { handle, ...hmac, ...once })
    if (!sign) await assert.rejects(code, notPermitted(/attribute sign is false/))
    else {
      // What docs/keys.md warns of.
      const cipher = createCipheriv('aes-256-ecb', (await code).signature, null).setAutoPadding(false)
      const checkValue = cipher.update(Buffer.alloc(16)).subarray(0, 3).toString('hex')
      assert.equal(key.attributes['check-value'], `0x${checkValue}`)
    }
  }
})

test('a sharee takes a shared key away: wraps, derives, reads, changes, shares or deletes it', async () => {
  const { alice, bob, aes } = await world()
  const { key } = await alice.call('key-generate-aes', {
    lengthBytes: 32,
    attributes: { derive: true, encrypt: true, wrap: true, sensitive: false, token: true },
    defaults: 'pkcs11',
    shareWith: ['bob'],
    ...once,
  })
  const { handle } = key
  const own = await aes({ wrap: true }, bob)
  const denied = { code: 'PermissionDenied', message: /owner/ }
  await assert.rejects(bob.call('key-wrap', { handle, wrappingHandle: own.handle, mechanism: gcm, ...once }), denied)
  const data = [{ field: 'counter' as const, bits: 32 as const }]
  const mechanism = { name: 'sp800-108-counter', prf: 'aes-cmac', data } as const
  await assert.rejects(
    bob.call('key-derive', { handle, mechanism, type: 'aes', lengthBytes: 16, attributes: {}, ...once }),
    denied,
  )
  await assert.rejects(bob.call('key-value', { handle }), denied)
  await assert.rejects(bob.call('key-set-attribute', { handle, attributes: { label: 'mine' } }), denied)
  await assert.rejects(bob.call('key-share', { handle, username: 'bob' }), denied)
  await assert.rejects(bob.call('key-unshare', { handle, username: 'bob' }), denied)
  await assert.rejects(bob.call('key-delete', { handle }), denied)
  await bob.call('encrypt', { handle, mechanism: gcm, data: Buffer.from('x'), ...once })
  await bob.call('key-wrap', { handle: (await aes({}, bob)).handle, wrappingHandle: handle, mechanism: gcm, ...once })
})

test('an HSM process takes its key separation from its configuration', async () => {
  const cluster = await activatedCluster({ keySeparation: 'strict' })
  try {
    const connection = await aliceOn(cluster)
    await assert.rejects(
      connection.call('key-generate-aes', { lengthBytes: 16, attributes: { wrap: true, decrypt: true }, ...once }),
      policy(/\(strict\).*neither encrypts nor decrypts/),
    )
    await connection.close()
  } finally {
    await cluster.first.dispose()
  }
})
