/** What LMDB leaves passes, at any moment; what would end its process or make it answer wrongly is named. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chanceOf } from '../../../test/support/chance.ts'
import { sealKeyOf } from './seal.ts'
import { openSealedStore } from './sealed-store.ts'
import { requireDatabase } from './store-head.ts'
import { PAGE, randomStore } from './testing/random-store.ts'

const HEADER = 24
/** Leads to a store with branches, values with pages of their own, and free pages. */
const SEED = 20_261_125
let directory: string
let good: Buffer

before(async () => {
  directory = await randomStore(SEED)
  good = await readFile(join(directory, 'store', 'data.mdb'))
})
after(() => rm(directory, { recursive: true }))

/** Where things are in a copy of the good file; a node's number counts within its page. */
class File {
  readonly bytes = Buffer.from(good)

  get head(): number {
    return this.bytes.readUInt32LE(152) > this.bytes.readUInt32LE(PAGE + 152) ? 0 : PAGE
  }
  get freeRoot(): number {
    return this.bytes.readUInt32LE(this.head + 88) * PAGE
  }
  get root(): number {
    return this.bytes.readUInt32LE(this.head + 136) * PAGE
  }
  node(page: number, i: number): number {
    return page + HEADER + this.bytes.readUInt16LE(page + HEADER + 2 * i)
  }
  leaf(i: number): number {
    return this.bytes.readUInt32LE(this.node(this.root, i)) * PAGE
  }
  /** The first of the pages of a value that has its own. */
  elsewhere(): number {
    for (let i = 0; i < this.bytes.readUInt16LE(this.root + 20) / 2; i++) {
      for (let j = 0; j < this.bytes.readUInt16LE(this.leaf(i) + 20) / 2; j++) {
        const node = this.node(this.leaf(i), j)
        const value = node + 8 + this.bytes.readUInt16LE(node + 6)
        if (this.bytes.readUInt16LE(node + 4) === 1) return this.bytes.readUInt32LE(value) * PAGE
      }
    }
    throw new Error('no value has pages of its own')
  }
  freeList(): number {
    return this.node(this.freeRoot, 0) + 16
  }
}

const damages: readonly (readonly [string, (file: File) => void, RegExp])[] = [
  [
    'a page at the place of another',
    (f) => f.bytes.copy(f.bytes, f.leaf(0), f.leaf(1), f.leaf(1) + PAGE),
    /page \d+ is not the one/,
  ],
  [
    'a branch among the leaves',
    (f) => f.bytes.writeUInt32LE(f.root / PAGE, f.node(f.root, 1)),
    /page \d+ is not the one/,
  ],
  ['a leaf twice', (f) => f.bytes.writeUInt32LE(f.leaf(0) / PAGE, f.node(f.root, 1)), /key out of order/],
  ['leaves in another order', swapLeaves, /key out of order/],
  [
    'a key of a branch that sends to the wrong leaf',
    (f) => f.bytes.writeUInt8(255, f.node(f.root, 1) + 8),
    /key out of order/,
  ],
  [
    'a page behind the last',
    (f) => f.bytes.writeUInt32LE(good.length, f.node(f.root, 1)),
    /refers to page \d+, which it does not have/,
  ],
  ['a page of a transaction to come', (f) => f.bytes.writeUInt8(1, f.freeRoot + 10), /newer than its newest change/],
  [
    'a node over another',
    (f) => f.bytes.writeUInt16LE(f.bytes.readUInt16LE(f.leaf(0) + HEADER), f.leaf(0) + HEADER + 2),
    /page \d+ is broken/,
  ],
  [
    'a node that is longer than its page',
    (f) => f.bytes.writeUInt16LE(PAGE, f.node(f.leaf(0), 0) + 6),
    /page \d+ is broken/,
  ],
  ['a page without a node', (f) => f.bytes.writeUInt16LE(0, f.leaf(0) + 20), /page \d+ is broken/],
  ['a value longer than its pages', (f) => f.bytes.writeUInt32LE(1, f.elsewhere() + 20), /longer than its pages/],
  [
    'a value in pages of others',
    (f) => f.bytes.writeUInt32LE(good.length / PAGE - f.elsewhere() / PAGE, f.elsewhere() + 20),
    /used twice/,
  ],
  ['a free page that is in use', (f) => f.bytes.writeUInt32LE(f.root / PAGE, f.freeList() + 8), /used twice/],
  [
    'a list of free pages without end',
    (f) => f.bytes.writeUInt32LE(1_000_000, f.freeList()),
    /list of free pages is broken/,
  ],
  [
    'a key of free pages that is none',
    (f) => f.bytes.writeUInt16LE(10, f.node(f.freeRoot, 0) + 6),
    /page \d+ is broken|list of free pages is broken/,
  ],
  [
    'free pages of a transaction to come',
    (f) => f.bytes.writeUInt8(200, f.freeList() - 1),
    /list of free pages is broken|key out of order/,
  ],
  ['a tree deeper than it is', (f) => f.bytes.writeUInt16LE(3, f.head + 102), /page \d+ is not the one/],
  ['a tree of no depth', (f) => f.bytes.writeUInt16LE(0, f.head + 102), /tree of entries has no depth/],
  ['entries with several values', (f) => f.bytes.writeUInt16LE(4, f.head + 100), /a database of another kind/],
  ['more pages than there are', (f) => f.bytes.writeUInt32LE(1_000_000, f.head + 144), /it is cut short/],
]

function swapLeaves(f: File): void {
  const [a, b] = [f.leaf(0), f.leaf(1)]
  f.bytes.writeUInt32LE(b / PAGE, f.node(f.root, 0))
  f.bytes.writeUInt32LE(a / PAGE, f.node(f.root, 1))
}

for (const [what, damage, expected] of damages) {
  test(`${what} is noticed before the database is used`, async () => {
    const file = new File()
    damage(file)
    const path = join(directory, 'damaged.mdb')
    await writeFile(path, file.bytes)
    await assert.rejects(requireDatabase(path), expected)
  })
}

test('a store passes after any change, whatever came before', async () => {
  const chance = chanceOf(SEED)
  const below = (limit: number) => Math.floor(chance() * limit)
  for (const [names, together, longest] of [
    [20, 2, 9_000],
    [900, 90, 700],
  ] as const) {
    const path = await mkdtemp(join(tmpdir(), 'store-structure-'))
    const store = await openSealedStore({ directory: path, sealKey: await sealKeyOf(path), hsmId: 'hsm-a' })
    for (let round = 0; round < 60; round++) {
      await store.write(
        Array.from({ length: 1 + below(together) }, () => ({
          path: `keys/${below(names)}`,
          value: chance() < 0.3 ? undefined : Buffer.alloc(below(longest)),
        })),
      )
      // What is written for this HSM alone is removed again in earnest: trees shrink too.
      await store.local.put(`at/${below(30)}`, chance() < 0.5 ? undefined : Buffer.alloc(below(longest)))
      await requireDatabase(join(path, 'store', 'data.mdb'))
    }
    await store.close()
    await rm(path, { recursive: true })
  }
})
