/**
 * A B-tree of an LMDB file, gone through page by page as LMDB would, but trusting nothing: every node lies within its page
 * beside the others, every leaf is equally deep, and the keys ascend from the first to the last.
 */
import { VaultDamaged } from './seal.ts'
import { BRANCH, HEADER_BYTES, LEAF, numberAt, type StorePages } from './store-pages.ts'

/** Byte offsets behind the header of a page, and in a node. LMDB: MDB_page, MDB_node. */
const PAGE = { lower: 20, upper: 22 } as const
const NODE = { child: 0, valueBytes: 0, flags: 4, keyBytes: 6, key: 8 } as const
const CHILD_BYTES = 6
/** The value has pages of its own, whose first one's number is here instead. LMDB: F_BIGDATA, MDB_ovpage. */
const ELSEWHERE = 1
const ELSEWHERE_BYTES = 24
/** Of a database's description in a key's stead. LMDB: MDB_db. */
const DATABASE_BYTES = 48
/** LMDB: CURSOR_STACK. */
const MOST_DEEP = 32
/** LMDB's root of a tree without an entry. */
const NO_PAGE = 2 ** 64

export interface Tree {
  readonly depth: number
  readonly root: number
}

interface TreeOf {
  readonly name: string
  /** Below 0 when the first key comes first; throws VaultDamaged when one is no key. */
  readonly compare: (one: Buffer, other: Buffer) => number
  readonly entry?: (key: Buffer, value: () => Buffer) => void
}

interface Node {
  readonly at: number
  readonly key: Buffer
}

/** Throws VaultDamaged when something of the tree is not as LMDB leaves it. */
export function walkTree(pages: StorePages, tree: Tree, of: TreeOf): void {
  if (tree.root === NO_PAGE && tree.depth === 0) return
  if (tree.depth < 1 || tree.depth > MOST_DEEP) throw new VaultDamaged(`its tree of ${of.name} has no depth`)
  new Walk(pages, of).page(tree.root, tree.depth)
}

class Walk {
  readonly #pages: StorePages
  readonly #of: TreeOf
  /** What the next key must come behind; it may equal what a branch said of it. */
  #floor: { key: Buffer; mayEqual: boolean } | undefined

  constructor(pages: StorePages, of: TreeOf) {
    this.#pages = pages
    this.#of = of
  }

  page(number: number, depth: number): void {
    const kind = depth > 1 ? BRANCH : LEAF
    const page = this.#pages.page(number, kind)
    const nodes = nodesOf(page, number, kind)
    for (const [i, { at, key }] of nodes.entries()) {
      // The first key of a branch is not looked at: all that comes before the second is there.
      if (kind === LEAF || i > 0) this.#requireBehind(key, number, kind === BRANCH)
      if (kind === BRANCH) this.page(page.readUIntLE(at + NODE.child, CHILD_BYTES), depth - 1)
      else this.#entry(page, at, key)
    }
  }

  #requireBehind(key: Buffer, number: number, mayEqual: boolean): void {
    const order = this.#floor === undefined ? -1 : this.#of.compare(this.#floor.key, key)
    if (order > 0 || (order === 0 && this.#floor?.mayEqual !== true)) {
      throw new VaultDamaged(`page ${number} has a key out of order`)
    }
    this.#floor = { key, mayEqual }
  }

  #entry(page: Buffer, at: number, key: Buffer): void {
    const bytes = page.readUInt32LE(at + NODE.valueBytes)
    const from = at + NODE.key + key.length
    const value =
      page.readUInt16LE(at + NODE.flags) === ELSEWHERE
        ? this.#pages.value(numberAt(page, from), bytes)
        : () => page.subarray(from, from + bytes)
    this.#of.entry?.(key, value)
  }
}

/** The nodes of a page in order of key, after they were found to fill its end without gap or overlap. */
function nodesOf(page: Buffer, number: number, kind: typeof BRANCH | typeof LEAF): Node[] {
  const lower = page.readUInt16LE(PAGE.lower)
  const upper = page.readUInt16LE(PAGE.upper)
  const count = lower / 2
  const room = page.length - HEADER_BYTES
  if (!Number.isInteger(count) || lower > upper || upper > room || count < (kind === BRANCH ? 2 : 1))
    throw broken(number)
  const most = (Math.floor(room / 2) & ~1) - 2
  const nodes: Node[] = []
  const lengths = new Map<number, number>()
  for (let i = 0; i < count; i++) {
    const offset = page.readUInt16LE(HEADER_BYTES + 2 * i)
    const at = HEADER_BYTES + offset
    if (offset < upper || at + NODE.key > page.length) throw broken(number)
    const keyBytes = page.readUInt16LE(at + NODE.keyBytes)
    const length = NODE.key + keyBytes + (kind === LEAF ? valueBytesIn(page, at, number) : 0)
    const mayBeEmpty = kind === BRANCH && i === 0
    if ((keyBytes === 0 && !mayBeEmpty) || keyBytes > most - NODE.key - DATABASE_BYTES || length > most)
      throw broken(number)
    lengths.set(offset, length + (length % 2))
    nodes.push({ at, key: page.subarray(at + NODE.key, at + NODE.key + keyBytes) })
  }
  let next = upper
  for (let i = 0; i < count; i++) next += lengths.get(next) ?? page.length
  if (next !== room) throw broken(number)
  return nodes
}

/** Bytes of a leaf's node behind its key. */
function valueBytesIn(page: Buffer, at: number, number: number): number {
  const flags = page.readUInt16LE(at + NODE.flags)
  if (flags === ELSEWHERE) return ELSEWHERE_BYTES
  if (flags !== 0) throw broken(number)
  return page.readUInt32LE(at + NODE.valueBytes)
}

function broken(number: number): VaultDamaged {
  return new VaultDamaged(`page ${number} is broken`)
}
