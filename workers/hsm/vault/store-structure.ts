/**
 * All that LMDB trusts in its file, looked at before it does: a broken page ends the process that reads it, or, in the list
 * of free pages, the process of some later write. What entries hold is not looked at: their seals tell. It takes some 60 to
 * 120 ms of processor time for the 19 to 70 MB of a full HSM (16,666 keys), a fifth of what opening its store takes in all.
 */
import { VaultDamaged } from './seal.ts'
import { StorePages, type Extent } from './store-pages.ts'
import { walkTree, type Tree } from './store-tree.ts'

const WORD_BYTES = 8

/** What a page at the head says of the state it stands for. */
export interface State extends Extent {
  /** By transaction the pages it freed that are not in use again. */
  readonly free: Tree
  readonly main: Tree
}

/** Throws VaultDamaged when the file, open for reading as `file`, is not as LMDB leaves it. */
export function requireStructure(file: number, state: State): void {
  const pages = new StorePages(file, state)
  walkTree(pages, state.main, { name: 'entries', compare: (one, other) => Buffer.compare(one, other) })
  walkTree(pages, state.free, {
    name: 'free pages',
    compare: byTransaction,
    entry: (key, value) => {
      const transaction = transactionOf(key)
      if (transaction < 1n || transaction > state.transaction) throw brokenList()
      takeFree(pages, value())
    },
  })
  pages.requireOnce()
}

function byTransaction(one: Buffer, other: Buffer): number {
  return Number(transactionOf(one) - transactionOf(other))
}

function transactionOf(key: Buffer): bigint {
  if (key.length !== WORD_BYTES) throw brokenList()
  return key.readBigUInt64LE()
}

/**
 * A list is its length and as many words: the number of a page; how many pages, negative, and then the first one's number;
 * or 0, which is room. lmdb-js: mdb_midl_xmerge.
 */
function takeFree(pages: StorePages, list: Buffer): void {
  const words = list.length / WORD_BYTES - 1
  if (!Number.isInteger(words) || words < 0 || list.readBigUInt64LE() > BigInt(words)) throw brokenList()
  const end = (Number(list.readBigUInt64LE()) + 1) * WORD_BYTES
  for (let at = WORD_BYTES; at < end; at += WORD_BYTES) {
    const word = Number(list.readBigInt64LE(at))
    if (word > 0) pages.take(word, 1)
    if (word >= 0) continue
    at += WORD_BYTES
    if (at >= end) throw brokenList()
    pages.take(Number(list.readBigInt64LE(at)), -word)
  }
}

function brokenList(): VaultDamaged {
  return new VaultDamaged('its list of free pages is broken')
}
