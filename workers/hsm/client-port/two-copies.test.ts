/** The key-availability check when a key is used: one that is on a single HSM is refused by every operation. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { clientOperations } from '../protocol/client-operations.ts'
import { startInProcess, type InProcessHsm, type InProcessSession } from './testing/in-process.ts'

const REFUSED = {
  code: 'NotEnoughCopies',
  message: 'Cannot perform the requested key operation as the key must be available on at least 2 HSMs',
} as const
const DATA = Buffer.from('sixteen bytes it')
const IV = Buffer.alloc(16, 1)
const ecdsa = { name: 'ecdsa', hash: 'sha256' } as const
const cbc = { name: 'aes-cbc', iv: IV } as const
const zeroPad = { name: 'aes-zero-pad' } as const
/** A session key, which needs no second HSM: what is refused is then the key that is used. */
const made = { attributes: { token: false } } as const

let hsm: InProcessHsm
let alice: InProcessSession
let at: Awaited<ReturnType<typeof makeAll>>

/** Every key is a token key but `session` ones, made while two HSMs take what is written. */
async function makeAll() {
  const secret = { encrypt: true, decrypt: true, sign: true, verify: true } as const
  const wrapping = { wrap: true, unwrap: true, encrypt: false, decrypt: false, sign: false, verify: false } as const
  const aes = async (attributes: object) =>
    (await alice.call('key-generate-aes', { lengthBytes: 16, attributes })).key.handle
  const generic = await alice.call('key-generate-generic-secret', {
    lengthBytes: 32,
    attributes: { derive: true, sign: false, verify: false },
  })
  const ec = await alice.call('key-generate-ec', {
    curve: 'prime256v1',
    publicAttributes: { verify: true },
    privateAttributes: { sign: true },
  })
  const kem = await alice.call('key-generate-ml-kem', {
    parameterSet: 'ML-KEM-512',
    publicAttributes: { wrap: true },
    privateAttributes: { unwrap: true },
  })
  const kek = await aes(wrapping)
  const sessionKey = await aes({ token: false })
  const wrap = { handle: sessionKey, wrappingHandle: kek, mechanism: zeroPad }
  const { wrapped } = await alice.call('key-wrap', wrap)
  const signing = { handle: ec.privateKey.handle, mechanism: ecdsa, data: DATA }
  return {
    aes: await aes(secret),
    payload: await aes({}),
    kek,
    sessionKey,
    sessionKek: await aes({ token: false, ...wrapping }),
    generic: generic.key.handle,
    private: ec.privateKey.handle,
    public: ec.publicKey.handle,
    encapsulates: kem.publicKey.handle,
    decapsulates: kem.privateKey.handle,
    wrapped,
    signature: (await alice.call('sign', signing)).signature,
    ciphertext: (await alice.call('key-encapsulate', { handle: kem.publicKey.handle, type: 'aes', ...made }))
      .ciphertext,
  }
}

before(async () => {
  hsm = await startInProcess({ size: 2, mode: 'NON_FIPS' })
  alice = hsm.as('alice')
  at = await makeAll()
})

type Asked = { readonly requireTwoCopies?: boolean }

const USES: Readonly<Record<string, (asked: Asked) => Promise<unknown>>> = {
  sign: (asked) => alice.call('sign', { handle: at.private, mechanism: ecdsa, data: DATA, ...asked }),
  verify: (asked) =>
    alice.call('verify', { handle: at.public, mechanism: ecdsa, data: DATA, signature: at.signature, ...asked }),
  encrypt: (asked) => alice.call('encrypt', { handle: at.aes, mechanism: cbc, data: DATA, ...asked }),
  decrypt: (asked) => alice.call('decrypt', { handle: at.aes, mechanism: cbc, data: DATA, ...asked }),
  'key-wrap of the key': (asked) =>
    alice.call('key-wrap', { handle: at.payload, wrappingHandle: at.sessionKek, mechanism: zeroPad, ...asked }),
  'key-wrap with the key': (asked) =>
    alice.call('key-wrap', { handle: at.sessionKey, wrappingHandle: at.kek, mechanism: zeroPad, ...asked }),
  'key-unwrap': (asked) =>
    alice.call('key-unwrap', {
      handle: at.kek,
      mechanism: zeroPad,
      wrapped: at.wrapped,
      class: 'secret-key',
      type: 'aes',
      ...made,
      ...asked,
    }),
  'key-derive': (asked) =>
    alice.call('key-derive', {
      handle: at.generic,
      mechanism: { name: 'sp800-108-counter', prf: 'hmac-sha256', data: [{ field: 'counter', bits: 32 }] },
      type: 'aes',
      lengthBytes: 16,
      ...made,
      ...asked,
    }),
  'key-encapsulate': (asked) =>
    alice.call('key-encapsulate', { handle: at.encapsulates, type: 'aes', ...made, ...asked }),
  'key-decapsulate': (asked) =>
    alice.call('key-decapsulate', {
      handle: at.decapsulates,
      ciphertext: at.ciphertext,
      type: 'aes',
      ...made,
      ...asked,
    }),
}

type Begin = (asked: Asked) => Promise<{ operation: number }>
const PARTS: Readonly<Record<string, Begin>> = {
  sign: (asked) => alice.call('part-begin', { use: 'sign', handle: at.private, mechanism: ecdsa, ...asked }),
  verify: (asked) => alice.call('part-begin', { use: 'verify', handle: at.public, mechanism: ecdsa, ...asked }),
  encrypt: (asked) => alice.call('part-begin', { use: 'encrypt', handle: at.aes, mechanism: cbc, ...asked }),
  decrypt: (asked) => alice.call('part-begin', { use: 'decrypt', handle: at.aes, mechanism: cbc, ...asked }),
}

/** While one HSM alone holds what is written. */
async function onOneHsm(work: () => Promise<unknown>): Promise<void> {
  hsm.peers.holding = 1
  try {
    await work()
  } finally {
    hsm.peers.holding = 2
  }
}

const begins = Object.entries(PARTS).map(([use, begin]) => [`part-begin of ${use}`, begin] as const)
for (const [what, use] of [...Object.entries(USES), ...begins]) {
  test(`${what} takes a key of two HSMs, and one of a single HSM only when that is said to be enough`, async () => {
    await use({})
    await onOneHsm(async () => {
      await assert.rejects(use({}), REFUSED)
      await assert.rejects(use({ requireTwoCopies: true }), REFUSED)
      await use({ requireTwoCopies: false })
    })
  })
}

for (const [use, begin] of Object.entries(PARTS)) {
  const signature = use === 'verify' ? { signature: Buffer.alloc(64) } : {}
  test(`a part and the end of ${use} are refused once the key is on a single HSM`, async () => {
    const [first, second] = [await begin({}), await begin({})]
    await alice.call('part-update', { ...second, data: DATA })
    await onOneHsm(async () => {
      await assert.rejects(alice.call('part-update', { ...first, data: DATA }), REFUSED)
      await assert.rejects(alice.call('part-finish', { ...second, ...signature }), REFUSED)
      const content = await begin({ requireTwoCopies: false })
      await alice.call('part-update', { ...content, data: DATA })
      await alice.call('part-finish', { ...content, ...signature })
    })
  })
}

test('every operation that uses a key and has the check is tried here', () => {
  const uses = Object.entries(clientOperations).flatMap(([name, { params }]) =>
    'shape' in params && 'handle' in params.shape && 'requireTwoCopies' in params.shape ? [name] : [],
  )
  const tried = new Set(Object.keys(USES).map((name) => name.replace(/ .*/, '')))
  assert.deepEqual(uses.sort(), [...tried].sort())
})
