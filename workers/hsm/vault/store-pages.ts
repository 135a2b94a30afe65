/** The pages of an LMDB file: each is read where it says that it lies, and none belongs to two things. */
import { readSync } from 'node:fs'
import { VaultDamaged } from './seal.ts'

/** A page begins with this; of a value that fills pages of its own only the first has it. LMDB: MDB_page_header. */
export const HEADER_BYTES = 24
const AT = { number: 0, transaction: 8, flags: 18, pages: 20 } as const
export const BRANCH = 1
export const LEAF = 2
const OVERFLOW = 4

export interface Extent {
  readonly pageSize: number
  /** Pages that the file really has. */
  readonly filePages: number
  /** Number of the last page in use or free; those behind the file's end must be free. */
  readonly lastPage: number
  /** The newest transaction. */
  readonly transaction: bigint
}

interface Range {
  readonly first: number
  readonly pages: number
}

export class StorePages {
  readonly extent: Extent
  readonly #file: number
  readonly #taken: Range[] = []

  /** `file` is a descriptor open for reading. */
  constructor(file: number, extent: Extent) {
    this.#file = file
    this.extent = extent
  }

  /** A whole page of a tree. Throws VaultDamaged when there is another at its place. */
  page(number: number, kind: typeof BRANCH | typeof LEAF): Buffer {
    this.take(number, 1)
    const page = this.#read(number, this.extent.pageSize)
    this.#requireHeader(page, number, kind)
    return page
  }

  /** A value of so many bytes that has pages of its own; its content is read only when it is asked for. */
  value(number: number, bytes: number): () => Buffer {
    const header = this.#read(number, HEADER_BYTES)
    this.#requireHeader(header, number, OVERFLOW)
    const pages = header.readUInt32LE(AT.pages)
    if (pages * this.extent.pageSize < HEADER_BYTES + bytes) {
      throw new VaultDamaged(`page ${number} begins a value that is longer than its pages`)
    }
    this.take(number, pages)
    if (number + pages > this.extent.filePages)
      throw new VaultDamaged(`page ${number} begins a value that is cut short`)
    return () => this.#read(number, HEADER_BYTES + bytes).subarray(HEADER_BYTES)
  }

  /** To be called for all pages that something consists of, and for those that are free. */
  take(first: number, pages: number): void {
    if (first < 2 || pages < 1 || first + pages - 1 > this.extent.lastPage) {
      throw new VaultDamaged(`it refers to page ${first}, which it does not have`)
    }
    this.#taken.push({ first, pages })
  }

  /** To be called when all pages are taken: none may be twice, and there must be what fills the file to its end. */
  requireOnce(): void {
    const { filePages, lastPage } = this.extent
    const ranges = this.#taken.sort((a, b) => a.first - b.first)
    let end = 0
    let behind = 0
    for (const { first, pages } of ranges) {
      if (first < end) throw new VaultDamaged(`page ${first} is used twice`)
      end = first + pages
      behind += Math.max(0, end - Math.max(first, filePages))
    }
    if (behind < lastPage + 1 - filePages) throw new VaultDamaged('it is cut short')
  }

  #requireHeader(page: Buffer, number: number, kind: number): void {
    if (numberAt(page, AT.number) !== number || page.readUInt16LE(AT.flags) !== kind) {
      throw new VaultDamaged(`page ${number} is not the one that belongs there`)
    }
    // LMDB writes to a page of a transaction to come where it lies in the file's map, which ends the process.
    if (page.readBigUInt64LE(AT.transaction) > this.extent.transaction) {
      throw new VaultDamaged(`page ${number} is newer than its newest change`)
    }
  }

  #read(number: number, bytes: number): Buffer {
    const { filePages, pageSize } = this.extent
    if (number >= filePages) throw new VaultDamaged(`it refers to page ${number}, which it does not have`)
    const content = Buffer.allocUnsafe(bytes)
    if (readSync(this.#file, content, 0, bytes, number * pageSize) < bytes) {
      throw new VaultDamaged(`page ${number} is cut short`)
    }
    return content
  }
}

/** An unsigned number of 64 bits; what is above 2⁵³ is not exact, and above every page number. */
export function numberAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32
}
