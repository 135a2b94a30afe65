/**
 * The head of an LMDB file, looked at before LMDB does. It has two meta pages, written in turn; whichever has the higher
 * transaction number counts. LMDB crashes on a file that is none of its own, and takes an older state for the newest when a
 * transaction number is damaged: nothing in the older state would tell. From the head on all else is looked at.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { HOW_TO_RECOVER, VaultDamaged } from './seal.ts'
import { numberAt } from './store-pages.ts'
import { requireStructure, type State } from './store-structure.ts'

const MAGIC = 0xbeefc0de
/** LMDB: MDB_DATA_VERSION, P_META. */
const VERSION = 2
const META = 8
/** Byte offsets in a meta page, behind lmdb-js's page header of 24 bytes. LMDB: MDB_meta. */
const AT = {
  pageNumber: 0,
  pageFlags: 18,
  magic: 24,
  version: 28,
  pageSize: 48,
  free: { flags: 52, depth: 54, root: 88 },
  main: { flags: 100, depth: 102, root: 136 },
  lastPage: 144,
  transaction: 152,
  end: 160,
} as const
const PAGE_SIZES = { least: 512, most: 65_536 } as const
/**
 * What kind of tree it is: that of free pages has numbers as keys (MDB_INTEGERKEY), and neither is encrypted (MDB_ENCRYPT).
 * The other flags do not matter.
 */
const KIND = { mask: 0x207f, free: 8, main: 0 } as const

/** Throws VaultDamaged when there is a file and it is not as LMDB leaves it. */
export async function requireDatabase(path: string): Promise<void> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    const reason = error instanceof Error ? error.message : String(error)
    throw new VaultDamaged(`the sealed store ${path} cannot be read: ${reason}. ${HOW_TO_RECOVER}`, { cause: error })
  }
  try {
    const { size } = await file.stat()
    // A process killed while it made the file leaves it empty.
    if (size > 0) requireStructure(file.fd, await newestState(file, size))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new VaultDamaged(
      `the sealed store ${path} is damaged: ${reason}. Nothing of it was used. ${HOW_TO_RECOVER}`,
      { cause },
    )
  } finally {
    await file.close()
  }
}

async function newestState(file: FileHandle, bytes: number): Promise<State> {
  const first = await metaAt(file, 0)
  if (first?.magic !== MAGIC) throw new VaultDamaged('it is not a database any more')
  const { pageSize } = first
  if (pageSize < PAGE_SIZES.least || pageSize > PAGE_SIZES.most || (pageSize & (pageSize - 1)) !== 0) {
    throw new VaultDamaged('its head names no page size')
  }
  const second = await metaAt(file, pageSize)
  if (second?.magic !== MAGIC || second.pageSize !== pageSize || first.pageNumber !== 0n || second.pageNumber !== 1n) {
    throw new VaultDamaged('the two pages at its head do not fit each other')
  }
  // Transactions are numbered one by one, and page n % 2 is written by transaction n.
  const [even, odd] = [first.transaction, second.transaction]
  const isNew = even === 0n && odd === 0n
  const inTurn = even % 2n === 0n && odd % 2n === 1n && (even - odd === 1n || odd - even === 1n)
  if (!isNew && !inTurn) throw new VaultDamaged('the numbers of its last two changes do not follow each other')
  for (const { pageFlags, version, free, main } of [first, second]) {
    const isOurs = pageFlags === META && version === VERSION
    if (!isOurs || (free.flags & KIND.mask) !== KIND.free || (main.flags & KIND.mask) !== KIND.main) {
      throw new VaultDamaged('a page at its head tells of a database of another kind')
    }
  }
  const newest = odd > even ? second : first
  return { ...newest, filePages: Math.floor(bytes / pageSize) }
}

async function metaAt(file: FileHandle, position: number) {
  const page = Buffer.alloc(AT.end)
  const { bytesRead } = await file.read(page, 0, page.length, position)
  if (bytesRead < page.length) return undefined
  const treeAt = ({ flags, depth, root }: { flags: number; depth: number; root: number }) => ({
    flags: page.readUInt16LE(flags),
    depth: page.readUInt16LE(depth),
    root: numberAt(page, root),
  })
  return {
    pageNumber: page.readBigUInt64LE(AT.pageNumber),
    pageFlags: page.readUInt16LE(AT.pageFlags),
    magic: page.readUInt32LE(AT.magic),
    version: page.readUInt32LE(AT.version),
    pageSize: page.readUInt32LE(AT.pageSize),
    free: treeAt(AT.free),
    main: treeAt(AT.main),
    lastPage: numberAt(page, AT.lastPage),
    transaction: page.readBigUInt64LE(AT.transaction),
  }
}
