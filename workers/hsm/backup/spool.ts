/** Backup files on their way out of or into an HSM: in its directory, mode 0600, gone when they are done with. */
import { mkdir, open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { isMissing, notWritten, readIfThere, removeAll, syncDirectory, writeWhole } from '../identity/files.ts'
import { HsmError } from '../protocol/errors.ts'
import { digestOf } from './digest.ts'

/** Sealed files that nobody came back for: a job that failed leaves them behind. */
const FORGOTTEN_AFTER_MS = 24 * 60 * 60_000
/** The longest backup that is taken in: many times an HSM full of keys. */
const MAX_BACKUP_BYTES = 1024 ** 3

/** Names of the directories in an HSM's directory. */
export const SPOOLS = { out: 'backups', in: 'restores' } as const

const announcementShape = z.object({ size: z.number(), digest: z.string() })
export type Announcement = z.infer<typeof announcementShape>

export class BackupSpool {
  readonly #out: string
  readonly #in: string

  private constructor(directory: string) {
    this.#out = join(directory, SPOOLS.out)
    this.#in = join(directory, SPOOLS.in)
  }

  /** Makes the directories and removes what was forgotten in them, and what a kill left half written. */
  static async open(directory: string): Promise<BackupSpool> {
    const spool = new BackupSpool(directory)
    for (const path of [spool.#out, spool.#in]) {
      await mkdir(path, { recursive: true, mode: 0o700 })
      const drafts = (await readdir(path)).filter((name) => name.endsWith('.new'))
      await removeAll(drafts.map((name) => join(path, name)))
    }
    await spool.removeForgotten()
    return spool
  }

  /** Where the backup of this id is written to. */
  outgoing(backupId: string): string {
    return join(this.#out, fileName(backupId, 'sealed'))
  }

  /** Size and digest of an outgoing backup; undefined when there is none. */
  async describeOutgoing(backupId: string): Promise<{ size: number; digest: string } | undefined> {
    return withFile(this.outgoing(backupId), digestOf)
  }

  /** Bytes of an outgoing backup; fewer, or none, at its end. */
  async readOutgoing(backupId: string, offset: number, length: number): Promise<Buffer> {
    const bytes = await withFile(this.outgoing(backupId), async (file) => {
      const buffer = Buffer.alloc(length)
      const { bytesRead } = await file.read(buffer, 0, length, offset)
      return buffer.subarray(0, bytesRead)
    })
    if (!bytes) throw new HsmError('WrongState', `there is no backup ${backupId} here`)
    return bytes
  }

  async removeOutgoing(backupId: string): Promise<void> {
    await removeAll([this.outgoing(backupId)])
  }

  /** Where the bytes of an announced backup are collected. */
  incoming(backupId: string): string {
    return join(this.#in, fileName(backupId, 'part'))
  }

  /** Makes room for a backup; gives how many bytes of it are here. One announced differently before is begun anew. */
  async announce(backupId: string, announcement: Announcement): Promise<number> {
    if (announcement.size > MAX_BACKUP_BYTES) throw new HsmError('BackupInvalid', 'the backup is too long to be one')
    await this.removeForgotten()
    const before = await this.announced(backupId)
    if (before?.size !== announcement.size || before.digest !== announcement.digest) {
      await this.removeIncoming(backupId)
      await writeWhole(this.#announcement(backupId), JSON.stringify(announcement))
    }
    return this.#received(backupId)
  }

  async announced(backupId: string): Promise<Announcement | undefined> {
    const text = await readIfThere(this.#announcement(backupId))
    if (text === undefined) return undefined
    try {
      return announcementShape.parse(JSON.parse(text))
    } catch {
      // Damaged: as if it had never been made. The control plane announces it again.
      return undefined
    }
  }

  /** Adds bytes at the end; what is there already is left as it is. Gives how many are here then. */
  async receive(backupId: string, offset: number, bytes: Uint8Array): Promise<number> {
    const announcement = await this.announced(backupId)
    if (!announcement) throw new HsmError('WrongState', `${backupId} was not announced`)
    const received = await this.#received(backupId)
    if (offset > received) throw new HsmError('InvalidRequest', `bytes from ${received} on are missing`)
    if (offset + bytes.length > announcement.size)
      throw new HsmError('BackupInvalid', 'the backup is longer than announced')
    const fresh = bytes.subarray(received - offset)
    if (fresh.length === 0) return received
    try {
      const file = await open(this.incoming(backupId), 'a', 0o600)
      try {
        await file.writeFile(fresh)
      } finally {
        await file.close()
      }
    } catch (cause) {
      throw notWritten('the HSM could not store the backup', cause)
    }
    return received + fresh.length
  }

  async removeIncoming(backupId: string): Promise<void> {
    await removeAll([this.incoming(backupId), this.#announcement(backupId)])
    await syncDirectory(this.#in)
  }

  async removeForgotten(): Promise<void> {
    for (const directory of [this.#out, this.#in]) {
      for (const name of await readdir(directory)) {
        const path = join(directory, name)
        const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }))
        if (Date.now() - mtimeMs > FORGOTTEN_AFTER_MS) await removeAll([path])
      }
    }
  }

  #announcement(backupId: string): string {
    return join(this.#in, fileName(backupId, 'json'))
  }

  async #received(backupId: string): Promise<number> {
    return (await withFile(this.incoming(backupId), async (file) => (await file.stat()).size)) ?? 0
  }
}

/** A backup id names a file: nothing but letters, digits and dashes. */
function fileName(backupId: string, ending: string): string {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(backupId)) throw new HsmError('InvalidRequest', 'this is no backup id')
  return `${backupId}.${ending}`
}

/** Undefined when there is no such file. */
async function withFile<Result>(path: string, use: (file: FileHandle) => Promise<Result>): Promise<Result | undefined> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}
