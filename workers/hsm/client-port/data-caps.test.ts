/** Data up to the cap of its mechanism is worked through, a byte more is refused: the published figures, by hand. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { DATA_CAPS } from '../mechanisms/data-caps.ts'
import type { AttributeTemplate } from '../protocol/attributes.ts'
import {
  MAX_GCM_IV_BYTES,
  type CipherStreamMechanism,
  type DecryptMechanism,
  type EncryptMechanism,
  type SignMechanism,
} from '../protocol/mechanisms.ts'
import { startInProcess, type InProcessSession } from './testing/in-process.ts'

/** Bytes: data-plane reference §4. */
const PUBLISHED = {
  'hmac-sha1': 16_288,
  'hmac-sha224': 16_256,
  'hmac-sha256': 16_288,
  'hmac-sha384': 16_224,
  'hmac-sha512': 16_224,
  'aes-cbc': 16_272,
  'aes-cbc-pad': 16_272,
  'aes-gcm': 16_224,
  'cloudhsm-aes-gcm': 16_224,
  'des3-cbc': 16_280,
  'des3-cbc-pad': 16_280,
  ed25519: 16_000,
} as const
/** Not published: as the same cipher in CBC mode. */
const OURS = { 'aes-ecb': 16_272, 'aes-ctr': 16_272, 'aes-cmac': 16_272, 'des3-ecb': 16_280 } as const

const one = { requireTwoCopies: false } as const
const IV = Buffer.alloc(16, 1)
const DES_IV = Buffer.alloc(8, 1)

let alice: InProcessSession
let handles: Record<'aes' | 'des3' | 'generic' | 'edPrivate' | 'edPublic', string>

before(async () => {
  alice = (await startInProcess({ mode: 'NON_FIPS' })).as('alice')
  const usage = { sign: true, verify: true, encrypt: true, decrypt: true }
  const secret: { attributes: AttributeTemplate } & typeof one = { attributes: { token: false, ...usage }, ...one }
  const pair = await alice.call('key-generate-ec', {
    curve: 'ed25519',
    publicAttributes: { token: false, verify: true },
    privateAttributes: { token: false, sign: true },
    ...one,
  })
  const made = await Promise.all([
    alice.call('key-generate-aes', { lengthBytes: 32, ...secret }),
    alice.call('key-generate-des3', secret),
    alice.call('key-generate-generic-secret', {
      lengthBytes: 32,
      attributes: { token: false, sign: true, verify: true },
      ...one,
    }),
  ])
  const [aes, des3, generic] = made.map(({ key }) => key.handle) as [string, string, string]
  handles = { aes, des3, generic, edPrivate: pair.privateKey.handle, edPublic: pair.publicKey.handle }
})

test('the caps are the published ones, and those of the same cipher where none is published', () => {
  assert.deepEqual(DATA_CAPS, { ...PUBLISHED, ...OURS })
})

const tooMuch = (name: string, cap: number) => ({
  code: 'LimitExceeded' as const,
  message: new RegExp(`^${name} takes at most ${cap} bytes.*AWS CloudHSM user guide`),
})

const SIGNING: readonly (readonly [name: string, cap: number, mechanism: SignMechanism])[] = [
  ...(['sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const).map(
    (hash) => [`hmac-${hash}`, PUBLISHED[`hmac-${hash}`], { name: 'hmac', hash }] as const,
  ),
  ['aes-cmac', OURS['aes-cmac'], { name: 'aes-cmac' }],
  ['ed25519', PUBLISHED.ed25519, { name: 'ed25519' }],
]

const signer = ({ name }: SignMechanism) => {
  if (name === 'ed25519') return { secret: handles.edPrivate, open: handles.edPublic }
  const secret = name === 'hmac' ? handles.generic : handles.aes
  return { secret, open: secret }
}

for (const [name, cap, mechanism] of SIGNING) {
  test(`${name} signs and verifies ${cap} bytes, and refuses one more`, async () => {
    const { secret, open } = signer(mechanism)
    const data = Buffer.alloc(cap, 2)
    const more = Buffer.alloc(cap + 1, 2)
    const { signature } = await alice.call('sign', { handle: secret, mechanism, data, ...one })
    const verify = (over: Buffer) => alice.call('verify', { handle: open, mechanism, data: over, signature, ...one })
    assert.deepEqual(await verify(data), { valid: true })
    await assert.rejects(alice.call('sign', { handle: secret, mechanism, data: more, ...one }), tooMuch(name, cap))
    await assert.rejects(verify(more), tooMuch(name, cap))
  })

  if (mechanism.name !== 'hmac' && mechanism.name !== 'aes-cmac') continue
  for (const use of ['sign', 'verify'] as const) {
    test(`a part of ${cap} bytes goes into ${use} with ${name}, one more byte ends the operation`, async () => {
      const begin = { use, handle: signer(mechanism).secret, mechanism, ...one }
      await partsOf(name, cap, () => alice.call('part-begin', begin))
    })
  }
}

/** The cap is of each part: two as long as it are taken, a longer one ends all. */
async function partsOf(name: string, cap: number, begin: () => Promise<{ operation: number }>): Promise<void> {
  const begun = await begin()
  for (let i = 0; i < 2; i++) await alice.call('part-update', { ...begun, data: Buffer.alloc(cap) })
  const more = { ...begun, data: Buffer.alloc(cap + 1) }
  await assert.rejects(alice.call('part-update', more), tooMuch(name, cap))
  await assert.rejects(alice.call('part-update', more), { code: 'WrongState' })
}

/** `grows`: bytes that a ciphertext is longer than what it was made of. */
const CIPHERS: readonly (readonly [cap: number, grows: number, mechanism: EncryptMechanism])[] = [
  [PUBLISHED['aes-gcm'], 16, { name: 'aes-gcm' }],
  [PUBLISHED['cloudhsm-aes-gcm'], 28, { name: 'cloudhsm-aes-gcm' }],
  [OURS['aes-ecb'], 0, { name: 'aes-ecb' }],
  [PUBLISHED['aes-cbc'], 0, { name: 'aes-cbc', iv: IV }],
  [PUBLISHED['aes-cbc-pad'], 16, { name: 'aes-cbc-pad', iv: IV }],
  [OURS['aes-ctr'], 0, { name: 'aes-ctr', iv: IV }],
  [OURS['des3-ecb'], 0, { name: 'des3-ecb' }],
  [PUBLISHED['des3-cbc'], 0, { name: 'des3-cbc', iv: DES_IV }],
  [PUBLISHED['des3-cbc-pad'], 8, { name: 'des3-cbc-pad', iv: DES_IV }],
]

for (const [cap, grows, mechanism] of CIPHERS) {
  const { name } = mechanism
  const handle = () => (name.startsWith('des3') ? handles.des3 : handles.aes)
  test(`${name} encrypts ${cap} bytes and decrypts them again, and refuses one more either way`, async () => {
    const data = Buffer.alloc(cap, 3)
    const encrypt = (plain: Buffer) => alice.call('encrypt', { handle: handle(), mechanism, data: plain, ...one })
    const { ciphertext, iv } = await encrypt(data)
    assert.equal(ciphertext.length, cap + grows)
    const back: DecryptMechanism = mechanism.name === 'aes-gcm' ? { ...mechanism, iv } : mechanism
    const decrypt = (sealed: Uint8Array) =>
      alice.call('decrypt', { handle: handle(), mechanism: back, data: sealed, ...one })
    assert.deepEqual(Buffer.from((await decrypt(ciphertext)).plaintext), data)
    await assert.rejects(encrypt(Buffer.alloc(cap + 1)), tooMuch(name, cap))
    await assert.rejects(decrypt(Buffer.alloc(cap + grows + 1)), tooMuch(name, cap))
  })

  if (name === 'aes-gcm' || name === 'cloudhsm-aes-gcm') continue
  const inParts = mechanism as CipherStreamMechanism
  for (const use of ['encrypt', 'decrypt'] as const) {
    test(`a part of ${cap} bytes goes into ${use} with ${name}, one more byte ends the operation`, async () => {
      await partsOf(name, cap, () => alice.call('part-begin', { use, handle: handle(), mechanism: inParts, ...one }))
    })
  }
}

test('additional data of AES-GCM has the cap of its data', async () => {
  const encrypt = (aadBytes: number) =>
    alice.call('encrypt', {
      handle: handles.aes,
      mechanism: { name: 'aes-gcm', aad: Buffer.alloc(aadBytes) },
      data: Buffer.alloc(0),
      ...one,
    })
  assert.equal((await encrypt(16_224)).ciphertext.length, 16)
  await assert.rejects(encrypt(16_225), { code: 'InvalidRequest', message: /aad.*16224/ })
})

test('an IV of AES-GCM has as many bytes as the cipher takes, and no more is asked of it', async () => {
  const decrypt = (ivBytes: number) =>
    alice.call('decrypt', {
      handle: handles.aes,
      mechanism: { name: 'aes-gcm', iv: Buffer.alloc(ivBytes, 2) },
      data: Buffer.alloc(32),
      ...one,
    })
  await assert.rejects(decrypt(MAX_GCM_IV_BYTES), { code: 'DecryptionFailed' })
  await assert.rejects(decrypt(MAX_GCM_IV_BYTES + 1), { code: 'InvalidRequest', message: /iv/ })
})
