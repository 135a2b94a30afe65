/**
 * The number of the store's newest commit, kept beside the store: a damaged head of the LMDB file can make it take the state
 * before the newest for the newest, which is whole in itself. Written behind each commit and not synced: after a power cut
 * it may be behind the store, never ahead of it.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Seal } from './seal.ts'

const FILE = 'newest'
const NUMBER_BYTES = 8

export class NewestCommit {
  readonly #file: FileHandle
  readonly #seal: Seal

  private constructor(file: FileHandle, seal: Seal) {
    this.#file = file
    this.#seal = seal
  }

  /** `store` is the store's directory. */
  static async open(store: string, seal: Seal): Promise<NewestCommit> {
    const path = join(store, FILE)
    const file = await open(path, 'r+', 0o600).catch(async (error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return open(path, 'w+', 0o600)
      throw error
    })
    return new NewestCommit(file, seal)
  }

  /** 0 when it is not known: no commit yet, or what is there cannot be read, which by itself harms nothing. */
  async read(): Promise<number> {
    const sealed = await this.#file.readFile()
    try {
      return Number(this.#seal.open(FILE, sealed).readBigUInt64BE())
    } catch {
      return 0
    }
  }

  /** What it cannot write leaves an older number, which holds as well. */
  async write(commit: number): Promise<void> {
    const number = Buffer.alloc(NUMBER_BYTES)
    number.writeBigUInt64BE(BigInt(commit))
    const sealed = this.#seal.seal(FILE, number)
    await this.#file.write(sealed, 0, sealed.length, 0).catch(() => undefined)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
