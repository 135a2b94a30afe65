/** Writes the files of an HSM's audit log: each is appended to by whole, synced writes. */
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { auditFileName } from '../../../provider-schema/audit-file.ts'
import { syncDirectory } from '../identity/files.ts'

/** Kept on the disk so that what was done can be written down even when the disk has become full. */
const RESERVE = 'reserve'

export class AuditFiles {
  readonly directory: string
  readonly #reserveBytes: number
  #handle: FileHandle | undefined
  #length = 0

  constructor(directory: string, reserveBytes: number) {
    this.directory = directory
    this.#reserveBytes = reserveBytes
  }

  /** Bytes of the file that is written. */
  get length(): number {
    return this.#length
  }

  async make(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 })
  }

  /** Goes on in a file, from `length` on; what is behind it is cut off. */
  async resume(file: number, length: number): Promise<void> {
    await this.close()
    this.#handle = await open(this.#path(file), 'r+')
    this.#length = length
    await this.#handle.truncate(length)
    await this.#handle.sync()
  }

  /** Goes on in a new file. */
  async begin(file: number): Promise<void> {
    await this.close()
    this.#handle = await open(this.#path(file), 'w', 0o600)
    this.#length = 0
    await syncDirectory(this.directory)
  }

  /** Resolves when the text is on disk; when it throws, the file is as before. */
  async append(text: string): Promise<void> {
    if (!this.#handle) throw new Error('no audit file is open')
    const bytes = Buffer.from(text)
    try {
      for (let done = 0; done < bytes.length;) {
        done += (await this.#handle.write(bytes, done, bytes.length - done, this.#length + done)).bytesWritten
      }
      await this.#handle.datasync()
    } catch (error) {
      await this.#handle.truncate(this.#length).catch(() => undefined)
      throw error
    }
    this.#length += bytes.length
  }

  /** Takes the reserve, unless it is there. Throws when the disk is too full for it. */
  async makeReserve(): Promise<void> {
    const file = await open(join(this.directory, RESERVE), 'a', 0o600)
    try {
      const { size } = await file.stat()
      if (size >= this.#reserveBytes) return
      await file.write(Buffer.alloc(this.#reserveBytes - size, 0x2e))
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** Gives the reserve's room to the file that is written. */
  async spendReserve(): Promise<void> {
    await rm(join(this.directory, RESERVE), { force: true })
    await syncDirectory(this.directory)
  }

  async remove(file: number): Promise<void> {
    await rm(this.#path(file), { force: true })
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
  }

  #path(file: number): string {
    return join(this.directory, auditFileName(file))
  }
}
