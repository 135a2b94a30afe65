/**
 * The head of an LMDB file, looked at before LMDB does. It has two meta pages, written in turn; whichever has the higher
 * transaction number counts. LMDB crashes on a file that is none of its own, and takes an older state for the newest when a
 * transaction number is damaged: nothing in the older state would tell.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { HOW_TO_RECOVER, VaultDamaged } from './seal.ts'

const MAGIC = 0xbeefc0de
/** Byte offsets in a meta page, behind lmdb-js's page header of 24 bytes. */
const AT = { pageNumber: 0, magic: 24, pageSize: 48, transaction: 152, end: 160 } as const
const PAGE_SIZES = { least: 512, most: 65_536 } as const

/** Throws VaultDamaged when there is a file and its head is not as LMDB leaves it. */
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
    const wrong = size === 0 ? undefined : await whatIsWrong(file)
    if (wrong === undefined) return
    throw new VaultDamaged(`the sealed store ${path} is damaged: ${wrong}. Nothing of it was used. ${HOW_TO_RECOVER}`)
  } finally {
    await file.close()
  }
}

async function whatIsWrong(file: FileHandle): Promise<string | undefined> {
  const first = await metaAt(file, 0)
  if (first?.magic !== MAGIC) return 'it is not a database any more'
  const { pageSize } = first
  if (pageSize < PAGE_SIZES.least || pageSize > PAGE_SIZES.most || (pageSize & (pageSize - 1)) !== 0) {
    return 'its head names no page size'
  }
  const second = await metaAt(file, pageSize)
  if (second?.magic !== MAGIC || second.pageSize !== pageSize || first.pageNumber !== 0n || second.pageNumber !== 1n) {
    return 'the two pages at its head do not fit each other'
  }
  // Transactions are numbered one by one, and page n % 2 is written by transaction n.
  const [even, odd] = [first.transaction, second.transaction]
  const isNew = even === 0n && odd === 0n
  const inTurn = even % 2n === 0n && odd % 2n === 1n && (even - odd === 1n || odd - even === 1n)
  return isNew || inTurn ? undefined : 'the numbers of its last two changes do not follow each other'
}

async function metaAt(file: FileHandle, position: number) {
  const page = Buffer.alloc(AT.end)
  const { bytesRead } = await file.read(page, 0, page.length, position)
  if (bytesRead < page.length) return undefined
  return {
    pageNumber: page.readBigUInt64LE(AT.pageNumber),
    magic: page.readUInt32LE(AT.magic),
    pageSize: page.readUInt32LE(AT.pageSize),
    transaction: page.readBigUInt64LE(AT.transaction),
  }
}
