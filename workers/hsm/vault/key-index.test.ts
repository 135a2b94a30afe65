import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PairMaterial } from '../mechanisms/mechanism.ts'
import { generateMlDsa } from '../mechanisms/ml-dsa.ts'
import { generateMlKem } from '../mechanisms/ml-kem.ts'
import { attributesAtCreation, matching, type KeyClass } from './attributes.ts'
import { HeldKey } from './held-key.ts'
import { KeyIndex } from './key-index.ts'

function keyOf(handle: string, keyClass: KeyClass, label: string, id: string): HeldKey {
  const computed = {
    'key-type': keyClass === 'secret-key' ? 'aes' : 'rsa',
    'check-value': '0x010203',
    'key-length-bytes': 16,
  } as const
  const attributes = attributesAtCreation(keyClass, { label, id }, computed)
  const record = { owner: label, sharedWith: [], attributes, material: Buffer.alloc(1), manageQuorum: 0, useQuorum: 0 }
  return new HeldKey(handle, record, 1)
}

const handle = fc.integer({ min: 0, max: 40 }).map((n) => `0x${n.toString(16).padStart(16, '0')}`)
const label = fc.constantFrom('a', 'b', '0xAB', '0xab')
const id = fc.constantFrom('0x', '0xab', '0xAB')
const keyClass = fc.constantFrom<KeyClass>('secret-key', 'public-key', 'private-key')
const step = fc.oneof(fc.record({ put: fc.tuple(handle, keyClass, label, id) }), fc.record({ drop: handle }))
const filter = fc.record(
  { label, id, class: keyClass, 'key-type': fc.constantFrom('aes', 'rsa') },
  { requiredKeys: [] },
)

test('whatever came and went, a search in the index finds what a look at every key finds, in order of handle', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), filter, (steps, wanted) => {
      const index = new KeyIndex()
      const keys = new Map<string, HeldKey>()
      for (const each of steps) {
        if ('put' in each) {
          const key = keyOf(...each.put)
          keys.set(key.handle, key)
          index.set(key)
        } else {
          keys.delete(each.drop)
          index.delete(each.drop)
        }
      }
      const isWanted = matching(wanted)
      const expected = [...keys.values()]
        .filter(({ attributes }) => isWanted(attributes))
        .sort((a, b) => (a.handle < b.handle ? -1 : 1))
      assert.deepEqual(
        index.among(wanted).filter(({ attributes }) => isWanted(attributes)),
        expected,
      )
      const all = [...keys.values()]
      assert.equal(index.keys, all.length)
      assert.equal(index.asymmetricKeys, all.filter(({ class: kind }) => kind !== 'secret-key').length)
      assert.equal(index.ownedBy('a'), all.filter(({ owner }) => owner === 'a').length)
    }),
  )
})

test('of 16,666 keys a search by label, id or class with type looks at those that have it alone', () => {
  const index = new KeyIndex()
  for (let i = 0; i < 16_666; i++) {
    const hex = i.toString(16).padStart(4, '0')
    const kind = i % 1000 === 0 ? 'public-key' : 'secret-key'
    index.set(keyOf(`0x${hex.padStart(16, '0')}`, kind, `label ${i}`, `0x${hex}`))
  }
  assert.equal(index.among({ label: 'label 4000' }).length, 1)
  assert.equal(index.among({ id: '0x0fa0' }).length, 1)
  assert.equal(index.among({ class: 'public-key', 'key-type': 'rsa' }).length, 17)
  assert.equal(index.among({ label: 'none of them' }).length, 0)
  assert.equal(index.among({ class: 'secret-key' }).length, 16_666)
})

for (const [name, generate] of [
  ['ML-DSA', () => generateMlDsa('ML-DSA-44')],
  ['ML-KEM', () => generateMlKem('ML-KEM-512')],
] as const) {
  test(`${name} pairs of one check value are told apart by their public keys`, async () => {
    const index = new KeyIndex()
    const put = (number: number, { publicKey, privateKey }: PairMaterial) =>
      [publicKey, privateKey, privateKey].map(({ class: keyClass, attributes, bytes }, i) => {
        // Copies have no object yet, as keys that came from another HSM.
        const computed = { ...attributes, 'check-value': '0x010203' }
        const record = {
          owner: 'alice',
          sharedWith: [],
          attributes: attributesAtCreation(keyClass, { label: name }, computed),
          material: bytes,
          manageQuorum: 0,
          useQuorum: 0,
        }
        const key = new HeldKey(`0x${(number + i).toString(16).padStart(16, '0')}`, record, 1)
        index.set(key)
        return key
      })
    const pairs = [put(0, await generate()), put(8, await generate())]
    for (const pair of pairs) {
      for (const key of pair) {
        assert.deepEqual(
          index.kinOf(key),
          pair.filter((other) => other !== key),
        )
      }
    }
  })
}
