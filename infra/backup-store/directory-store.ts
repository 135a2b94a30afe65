/**
 * The backup store of one region: a directory of sealed backups.
 *
 *   <id>            a backup, whole: written beside its place, fsynced, renamed
 *   incoming/<id>   one that is being put or received, cut off wherever it was interrupted
 */
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { blake3 } from '@noble/hashes/blake3.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { BackupId } from '../../provider-schema/ids.ts'
import type { BackupStorePort, StoredBackup } from '../../workers/jobs/ports.ts'
import { syncDirectory } from '../files/durable.ts'
import { codeOf } from '../trouble.ts'

/** What a receiver of copies needs beyond what jobs do. */
export interface BackupStore extends BackupStorePort {
  /** Bytes of an incoming backup that are here durably. */
  received(id: BackupId): Promise<number>
  /** Appends at exactly this offset; throws when that is not the end, or it would grow beyond `limit` bytes. */
  receive(id: BackupId, offset: number, limit: number, content: AsyncIterable<Uint8Array>): Promise<void>
  /** Makes an incoming backup a whole one when size and digest fit; else throws and keeps nothing of it. */
  accept(id: BackupId, expected: StoredBackup): Promise<void>
}

const INCOMING = 'incoming'

/** Opens the store in a directory, making it where it is missing. */
export async function openBackupStore(dir: string): Promise<BackupStore> {
  await mkdir(join(dir, INCOMING), { recursive: true, mode: 0o700 })
  await removeAbandoned(join(dir, INCOMING))
  const place = (id: BackupId) => join(dir, safe(id))
  const draft = (id: BackupId) => join(dir, INCOMING, safe(id))

  const publish = async (from: string, id: BackupId) => {
    await rename(from, place(id))
    await syncDirectory(dir)
  }

  return {
    put: async (id, content) => {
      const path = `${draft(id)}.put`
      try {
        const stored = await writeAll(path, content)
        await publish(path, id)
        return stored
      } catch (cause) {
        await rm(path, { force: true })
        throw new Error(`the backup ${id} could not be stored: ${reasonOf(cause)}`, { cause })
      }
    },

    read: async function* (id, offset = 0) {
      for await (const piece of createReadStream(place(id), { start: offset })) yield piece as Buffer
    },

    verify: (id) => measure(place(id)),

    remove: async (id) => {
      await rm(place(id), { force: true })
      await rm(draft(id), { force: true })
      await syncDirectory(dir)
    },

    received: async (id) => (await sizeOf(place(id))) ?? (await sizeOf(draft(id))) ?? 0,

    receive: async (id, offset, limit, content) => {
      const file = await open(draft(id), 'a', 0o600)
      try {
        const { size } = await file.stat()
        if (size !== offset) throw new Error(`the copy goes on at byte ${size}, not ${offset}`)
        let end = size
        for await (const piece of content) {
          end += piece.length
          if (end > limit) throw new Error(`the copy has more than the ${limit} bytes announced`)
          await file.appendFile(piece)
        }
      } finally {
        await file.sync()
        await file.close()
      }
    },

    accept: async (id, expected) => {
      if ((await sizeOf(place(id))) !== undefined) return
      const found = await measure(draft(id))
      if (found?.size !== expected.size || found.digest !== expected.digest) {
        await rm(draft(id), { force: true })
        throw new Error(`what arrived of ${id} is not what was announced`)
      }
      await publish(draft(id), id)
    },
  }
}

async function writeAll(path: string, content: AsyncIterable<Uint8Array>): Promise<StoredBackup> {
  const hash = blake3.create()
  let size = 0
  const file = await open(path, 'w', 0o600)
  try {
    for await (const piece of content) {
      await file.appendFile(piece)
      hash.update(piece)
      size += piece.length
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return { size, digest: bytesToHex(hash.digest()) }
}

async function measure(path: string): Promise<StoredBackup | undefined> {
  const hash = blake3.create()
  let size = 0
  try {
    for await (const piece of createReadStream(path)) {
      const bytes = piece as Buffer
      hash.update(bytes)
      size += bytes.length
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  return { size, digest: bytesToHex(hash.digest()) }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    },
  )
}

/** A put that its process did not survive is begun anew; a copy that is coming in goes on where it was. */
async function removeAbandoned(incoming: string): Promise<void> {
  for (const name of await readdir(incoming)) {
    if (name.endsWith('.put')) await rm(join(incoming, name), { force: true })
  }
}

/** Ids become file names: nothing but an id may. */
function safe(id: BackupId): string {
  if (!/^backup-[2-7a-zA-Z]{11,16}$/.test(id)) throw new Error('not the id of a backup')
  return id
}

function reasonOf(cause: unknown): string {
  if (codeOf(cause) === 'ENOSPC') return 'the disk is full'
  return cause instanceof Error ? cause.message : String(cause)
}
