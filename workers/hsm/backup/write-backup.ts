/** Sealing the whole content of an HSM into a file. */
import { open, rename, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { IdentityRecord } from '../identity/cluster-identity.ts'
import { notWritten, removeAll, syncDirectory } from '../identity/files.ts'
import { HsmError } from '../protocol/errors.ts'
import type { RecordStore } from '../vault/record-store.ts'
import { newDigest, type Digest } from './digest.ts'
import { withFleetKey } from './fleet-key.ts'
import { beginBackup, CHUNK_BYTES, sealChunk } from './format.ts'
import { encodeRecord, type BackedUpRecord } from './records.ts'

export interface WriteBackupOptions {
  /** Where the file goes; it is there whole or not at all. */
  readonly path: string
  readonly fleetBackupKeyFile: string
  readonly identity: Pick<IdentityRecord, 'clusterId' | 'hsmType' | 'mode'>
  readonly store: Pick<RecordStore, 'list'>
}

/**
 * Writes a backup of all live records as they are at the call. Gives its size and digest. Throws StorageFailed when it
 * cannot be written; nothing is left then.
 */
export async function writeBackup(options: WriteBackupOptions): Promise<{ size: number; digest: string }> {
  const temporary = `${options.path}.new`
  try {
    const file = await open(temporary, 'w', 0o600)
    let written: { size: number; digest: string }
    try {
      written = await writeTo(file, options)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, options.path)
    await syncDirectory(dirname(options.path))
    return written
  } catch (cause) {
    await removeAll([temporary])
    if (cause instanceof HsmError) throw cause
    throw notWritten('the HSM could not store the backup', cause)
  }
}

async function writeTo(file: FileHandle, { identity, store, fleetBackupKeyFile }: WriteBackupOptions) {
  // References, taken at one moment: records are replaced when they change, never altered.
  const records = [...store.list('')].filter((record): record is BackedUpRecord => record.value !== undefined)
  const { preamble, key } = await withFleetKey(fleetBackupKeyFile, (fleetKey) =>
    beginBackup(fleetKey, {
      clusterId: identity.clusterId,
      hsmType: identity.hsmType,
      mode: identity.mode,
      createdAt: new Date().toISOString(),
      records: records.length,
    }),
  )
  try {
    const output = new SealedOutput(file, key, await newDigest())
    await output.raw(preamble)
    for (const record of records) await output.write(encodeRecord(record))
    return await output.end()
  } finally {
    key.fill(0)
  }
}

/** Cuts what is written into sealed chunks. */
class SealedOutput {
  readonly #file: FileHandle
  readonly #key: Buffer
  readonly #digest: Digest
  #pending: Buffer[] = []
  #pendingBytes = 0
  #chunks = 0
  #size = 0

  constructor(file: FileHandle, key: Buffer, digest: Digest) {
    this.#file = file
    this.#key = key
    this.#digest = digest
  }

  async raw(bytes: Buffer): Promise<void> {
    await this.#file.writeFile(bytes)
    this.#digest.update(bytes)
    this.#size += bytes.length
  }

  async write(plaintext: Buffer): Promise<void> {
    this.#pending.push(plaintext)
    this.#pendingBytes += plaintext.length
    // A full chunk waits until more comes: the last one is marked as such.
    while (this.#pendingBytes > CHUNK_BYTES) await this.#chunk(false)
  }

  async end(): Promise<{ size: number; digest: string }> {
    await this.#chunk(true)
    return { size: this.#size, digest: this.#digest.hex() }
  }

  async #chunk(last: boolean): Promise<void> {
    const bytes = Buffer.concat(this.#pending)
    const rest = bytes.subarray(CHUNK_BYTES)
    await this.raw(sealChunk(this.#key, this.#chunks, last, bytes.subarray(0, CHUNK_BYTES)))
    this.#chunks += 1
    this.#pending = rest.length > 0 ? [Buffer.from(rest)] : []
    this.#pendingBytes = rest.length
    bytes.fill(0)
  }
}
