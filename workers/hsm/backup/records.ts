/** The content of a backup: records one after another, each msgpack behind its length. */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import type { VersionedRecord } from '../vault/record-store.ts'
import { invalid } from './format.ts'

const LENGTH_BYTES = 4
const MAX_RECORD_BYTES = 4 * 1024 * 1024

const packr = new Packr({ useRecords: false })
const recordShape = z.tuple([z.string(), z.number(), z.string(), z.instanceof(Uint8Array)])

export function encodeRecord({ path, version, value }: VersionedRecord & { readonly value: Uint8Array }): Buffer {
  const body = packr.pack([path, version.counter, version.hsmId, value])
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

export type BackedUpRecord = VersionedRecord & { readonly value: Uint8Array }

/** Cuts plaintext into records. Holds at most one incomplete record. */
export class RecordDecoder {
  #rest: Buffer = Buffer.alloc(0)

  /** The records that this piece completes. Throws BackupInvalid. */
  push(piece: Buffer): BackedUpRecord[] {
    const records: BackedUpRecord[] = []
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, piece]) : piece
    while (bytes.length >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(0)
      if (length > MAX_RECORD_BYTES) throw invalid('is damaged: a record in it is too long')
      if (bytes.length < LENGTH_BYTES + length) break
      records.push(decode(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length)))
      bytes = bytes.subarray(LENGTH_BYTES + length)
    }
    this.#rest = bytes
    return records
  }

  /** Throws BackupInvalid when a record is incomplete. */
  end(): void {
    if (this.#rest.length > 0) throw invalid('is damaged: its last record is incomplete')
  }
}

function decode(body: Buffer): BackedUpRecord {
  try {
    const [path, counter, hsmId, value] = recordShape.parse(packr.unpack(body))
    return { path, version: { counter, hsmId }, value }
  } catch (cause) {
    throw invalid('is damaged: a record in it cannot be read', cause)
  }
}
