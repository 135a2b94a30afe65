/** Opening a sealed backup file. */
import { open, type FileHandle } from 'node:fs/promises'
import { HsmError } from '../protocol/errors.ts'
import { withFleetKey } from './fleet-key.ts'
import {
  CHUNK_BYTES,
  headerBytes,
  invalid,
  openBackup,
  openChunk,
  PREFIX_BYTES,
  TAG_BYTES,
  WRAPPED_KEY_BYTES,
  type BackupHeader,
} from './format.ts'
import { RecordDecoder, type BackedUpRecord } from './records.ts'

export interface OpenedBackup {
  readonly about: BackupHeader
  /**
   * All records, a part at a time. Throws BackupInvalid as soon as something does not fit, so nothing given before the
   * end may be relied on. May be called again.
   */
  records(): AsyncGenerator<BackedUpRecord[]>
  /** Forgets the key. */
  close(): void
}

/** Reads the head of a backup. Throws BackupInvalid. */
export async function readBackup(file: FileHandle, fleetBackupKeyFile: string): Promise<OpenedBackup> {
  const { size } = await file.stat()
  const preambleBytes = PREFIX_BYTES + headerBytes(await readAt(file, 0, PREFIX_BYTES)) + WRAPPED_KEY_BYTES
  const preamble = await readAt(file, 0, preambleBytes)
  const { about, key } = await withFleetKey(fleetBackupKeyFile, (fleetKey) => openBackup(fleetKey, preamble))
  return {
    about,
    close: () => void key.fill(0),
    async *records() {
      const decoder = new RecordDecoder()
      const step = CHUNK_BYTES + TAG_BYTES
      let count = 0
      for (let at = preambleBytes, index = 0; ; at += step, index++) {
        const last = at + step >= size
        const plaintext = openChunk(key, index, last, await readAt(file, at, last ? size - at : step))
        const records = decoder.push(plaintext)
        count += records.length
        yield records
        if (last) break
      }
      decoder.end()
      if (count !== about.records) throw invalid(`holds ${count} records instead of ${about.records}`)
    },
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(length, 0))
  const { bytesRead } = await file.read(bytes, 0, bytes.length, position)
  return bytes.subarray(0, bytesRead)
}

/** Whether a backup can be opened from its first byte to its last. */
export async function isSound(path: string, fleetBackupKeyFile: string): Promise<boolean> {
  const file = await open(path, 'r')
  let backup: OpenedBackup | undefined
  try {
    backup = await readBackup(file, fleetBackupKeyFile)
    const parts = backup.records()
    while (!(await parts.next()).done);
    return true
  } catch (error) {
    if (error instanceof HsmError && error.code === 'BackupInvalid') return false
    throw error
  } finally {
    backup?.close()
    await file.close()
  }
}
