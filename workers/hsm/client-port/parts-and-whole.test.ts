/** Data in parts gives what the same data gives at once, for every mechanism that takes parts. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { HASHES, type CipherStreamMechanism, type SignStreamMechanism } from '../protocol/mechanisms.ts'
import { startInProcess, type InProcessSession } from './testing/in-process.ts'

const one = { requireTwoCopies: false } as const
const session = { token: false } as const
/** 4,000 bytes, a multiple of every block, of which no two blocks are alike. */
const DATA = Buffer.from(Array.from({ length: 4_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff))
const IV = Buffer.alloc(16, 1)
const DES_IV = Buffer.alloc(8, 1)
/** Where the parts end: within blocks and at their ends, an empty one among them. */
const CUTS = [1, 16, 16, 100, 1_024, 2_345, 3_999]
const parts = (data: Uint8Array) => [...CUTS, data.length].map((end, i) => data.subarray(CUTS[i - 1] ?? 0, end))

let alice: InProcessSession
let keys: Record<'rsa' | 'ec' | 'ed25519' | 'hmac' | 'aes' | 'des3', { readonly secret: string; readonly open: string }>

before(async () => {
  alice = (await startInProcess({ mode: 'NON_FIPS' })).as('alice')
  const pair = {
    publicAttributes: { ...session, verify: true },
    privateAttributes: { ...session, sign: true },
    ...one,
  } as const
  const halves = async (made: ReturnType<typeof ec>) => {
    const { publicKey, privateKey } = await made
    return { secret: privateKey.handle, open: publicKey.handle }
  }
  const ec = (curve: 'prime256v1' | 'ed25519') => alice.call('key-generate-ec', { curve, ...pair })
  const single = async (made: Promise<{ key: { handle: string } }>) => {
    const { handle } = (await made).key
    return { secret: handle, open: handle }
  }
  const uses = { sign: true, verify: true, encrypt: true, decrypt: true }
  const attributes = { ...session, ...uses }
  keys = {
    rsa: await halves(alice.call('key-generate-rsa', { modulusBits: 2048, publicExponent: 65_537, ...pair })),
    ec: await halves(ec('prime256v1')),
    ed25519: await halves(ec('ed25519')),
    hmac: await single(
      alice.call('key-generate-generic-secret', {
        lengthBytes: 32,
        attributes: { ...session, sign: true, verify: true },
        ...one,
      }),
    ),
    aes: await single(alice.call('key-generate-aes', { lengthBytes: 32, attributes, ...one })),
    des3: await single(alice.call('key-generate-des3', { attributes, ...one })),
  }
})

async function updated({ operation }: { operation: number }, data: Uint8Array): Promise<Uint8Array> {
  const outputs: Uint8Array[] = []
  for (const part of parts(data)) outputs.push((await alice.call('part-update', { operation, data: part })).output)
  return Buffer.concat(outputs)
}

type Signer = readonly [key: keyof typeof keys, mechanism: SignStreamMechanism, always: 'same' | 'random']
const SIGNERS: readonly Signer[] = [
  ...HASHES.flatMap((hash): Signer[] => [
    ['rsa', { name: 'rsa-pkcs', hash }, 'same'],
    ['rsa', { name: 'rsa-pkcs-pss', hash, mgf: hash, saltLength: 20 }, 'random'],
    ['ec', { name: 'ecdsa', hash }, 'random'],
    ['hmac', { name: 'hmac', hash }, 'same'],
  ]),
  ['rsa', { name: 'rsa-pkcs-pss', hash: 'sha256', mgf: 'sha256', saltLength: 0 }, 'same'],
  ['ed25519', { name: 'ed25519ph' }, 'same'],
  ['aes', { name: 'aes-cmac' }, 'same'],
]

for (const [key, mechanism, always] of SIGNERS) {
  const what = [
    mechanism.name,
    'hash' in mechanism ? mechanism.hash : '',
    'saltLength' in mechanism ? mechanism.saltLength : '',
  ]
  const same = always === 'same'
  test(`${what.join(' ').trim()}: a signature of parts ${same ? 'is' : 'verifies as'} that of the whole`, async () => {
    const { secret, open } = keys[key]
    const begun = await alice.call('part-begin', { use: 'sign', handle: secret, mechanism, ...one })
    assert.equal((await updated(begun, DATA)).length, 0)
    const { output: ofParts } = await alice.call('part-finish', begun)
    const { signature: ofWhole } = await alice.call('sign', { handle: secret, mechanism, data: DATA, ...one })
    if (same) assert.deepEqual(ofParts, ofWhole)
    else assert.notDeepEqual(ofParts, ofWhole)

    const verify = (data: Uint8Array, signature: Uint8Array) =>
      alice.call('verify', { handle: open, mechanism, data, signature, ...one })
    assert.deepEqual(await verify(DATA, ofParts), { valid: true })
    for (const [signature, data, valid] of [
      [ofParts, DATA, true],
      [ofWhole, DATA, true],
      [ofWhole, DATA.subarray(1), false],
      [ofWhole.map((byte, i) => (i === 5 ? byte ^ 1 : byte)), DATA, false],
    ] as const) {
      const verifying = await alice.call('part-begin', { use: 'verify', handle: open, mechanism, ...one })
      await updated(verifying, data)
      const finished = await alice.call('part-finish', { ...verifying, signature })
      assert.deepEqual([finished.valid, finished.output.length], [valid, 0])
    }
  })
}

const CIPHERS: readonly (readonly [key: 'aes' | 'des3', length: number, mechanism: CipherStreamMechanism])[] = [
  ['aes', 4_000, { name: 'aes-ecb' }],
  ['aes', 4_000, { name: 'aes-cbc', iv: IV }],
  ['aes', 4_000, { name: 'aes-cbc-pad', iv: IV }],
  ['aes', 3_999, { name: 'aes-cbc-pad', iv: IV }],
  ['aes', 4_000, { name: 'aes-ctr', iv: IV }],
  ['aes', 3_999, { name: 'aes-ctr', iv: IV, counterBits: 32 }],
  ['des3', 4_000, { name: 'des3-ecb' }],
  ['des3', 4_000, { name: 'des3-cbc', iv: DES_IV }],
  ['des3', 3_999, { name: 'des3-cbc-pad', iv: DES_IV }],
]

for (const [key, length, mechanism] of CIPHERS) {
  test(`${mechanism.name}: ${length} bytes in parts are enciphered and deciphered as the whole`, async () => {
    const handle = keys[key].secret
    const data = DATA.subarray(0, length)
    const inParts = async (use: 'encrypt' | 'decrypt', given: Uint8Array) => {
      const begun = await alice.call('part-begin', { use, handle, mechanism, ...one })
      const body = await updated(begun, given)
      return Buffer.concat([body, (await alice.call('part-finish', begun)).output])
    }
    const { ciphertext } = await alice.call('encrypt', { handle, mechanism, data, ...one })
    assert.deepEqual(await inParts('encrypt', data), Buffer.from(ciphertext))
    assert.deepEqual(await inParts('decrypt', ciphertext), data)
    assert.deepEqual(
      Buffer.from((await alice.call('decrypt', { handle, mechanism, data: ciphertext, ...one })).plaintext),
      data,
    )
  })
}

const CODES = SIGNERS.filter(([, { name }]) => name === 'aes-cmac' || name === 'rsa-pkcs')
for (const [key, mechanism] of [...CODES.slice(0, 1), ...CODES.slice(-1)]) {
  test(`${mechanism.name}: a key that no longer signs ends a signature of parts that was begun before`, async () => {
    const handle = keys[key].secret
    const begin = () => alice.call('part-begin', { use: 'sign', handle, mechanism, ...one })
    const [updating, finishing] = [await begin(), await begin()]
    await alice.call('key-set-attribute', { handle, attributes: { sign: false } })
    const refused = { code: 'KeyFunctionNotPermitted', message: /attribute sign is false/ }
    await assert.rejects(alice.call('part-update', { ...updating, data: DATA }), refused)
    await assert.rejects(alice.call('part-finish', finishing), refused)
    await alice.call('key-set-attribute', { handle, attributes: { sign: true } })
  })
}
