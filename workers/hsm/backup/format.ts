/**
 * The backup format, version 1. A backup made by any version restores for ever.
 *
 *   "SRBK" | u16 version | u32 length | header (JSON) | wrapped key (60 bytes) | chunks
 *
 * All numbers are big-endian. A fresh AES-256 key (EBK) seals this backup alone; it is wrapped with AES-256-GCM under a
 * key derived by HKDF-SHA-256 from the fleet backup key, everything before it being associated data. The content is
 * a sequence of msgpack records, each behind its u32 length, cut into chunks of 64 KiB, each sealed with AES-256-GCM. A
 * chunk's nonce is its number and whether it is the last, so that no chunk can be left out, moved or cut off.
 * (The layering is AWS's, data-plane §6.3; key wrapping with an approved authenticated mode is NIST SP 800-38F §3.1.)
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { HsmError } from '../protocol/errors.ts'

export const VERSION = 1
/** Plaintext bytes of every chunk but the last. */
export const CHUNK_BYTES = 64 * 1024
export const TAG_BYTES = 16
const MAGIC = Buffer.from('SRBK')
/** Magic, version, length of the header. */
export const PREFIX_BYTES = MAGIC.length + 2 + 4
const MAX_HEADER_BYTES = 64 * 1024
const NONCE_BYTES = 12
const KEY_BYTES = 32
export const WRAPPED_KEY_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES

const header = z.object({
  clusterId: z.string(),
  hsmType: z.string(),
  mode: z.enum(['FIPS', 'NON_FIPS']),
  /** ISO 8601, UTC. */
  createdAt: z.string(),
  records: z.number().int().min(0),
  /** Names the fleet backup key, so that a backup of another fleet is told from a damaged one. */
  keyId: z.string(),
  /** Hexadecimal; makes the wrapping key this backup's own. */
  salt: z.string(),
})
export type BackupHeader = z.infer<typeof header>

/** Refusal of a backup: `why` completes "the backup …". */
export function invalid(why: string, cause?: unknown): HsmError {
  return new HsmError('BackupInvalid', `the backup ${why}`, { cause })
}

/** The first bytes of a backup, and the key that seals its chunks. */
export function beginBackup(
  fleetKey: Uint8Array,
  about: Omit<BackupHeader, 'keyId' | 'salt'>,
): { preamble: Buffer; key: Buffer } {
  const salt = randomBytes(KEY_BYTES).toString('hex')
  const json = Buffer.from(JSON.stringify({ ...about, keyId: keyIdOf(fleetKey), salt } satisfies BackupHeader))
  const prefix = Buffer.alloc(PREFIX_BYTES)
  MAGIC.copy(prefix)
  prefix.writeUInt16BE(VERSION, MAGIC.length)
  prefix.writeUInt32BE(json.length, MAGIC.length + 2)
  const public_ = Buffer.concat([prefix, json])
  const key = randomBytes(KEY_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const wrapping = wrappingKey(fleetKey, salt)
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce).setAAD(public_)
  const wrapped = Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()])
  wrapping.fill(0)
  return { preamble: Buffer.concat([public_, wrapped]), key }
}

/** Bytes of the header, from the first `PREFIX_BYTES` of a backup. Throws BackupInvalid. */
export function headerBytes(prefix: Buffer): number {
  if (prefix.length < PREFIX_BYTES || !prefix.subarray(0, MAGIC.length).equals(MAGIC)) throw invalid('is not a backup')
  const version = prefix.readUInt16BE(MAGIC.length)
  if (version !== VERSION) throw invalid(`has format ${version}, which this software does not know`)
  const length = prefix.readUInt32BE(MAGIC.length + 2)
  if (length > MAX_HEADER_BYTES) throw invalid('is damaged: its header is too long')
  return length
}

/** Reads what `beginBackup` wrote. Throws BackupInvalid when it was altered or sealed by another fleet. */
export function openBackup(fleetKey: Uint8Array, preamble: Buffer): { about: BackupHeader; key: Buffer } {
  const publicBytes = PREFIX_BYTES + headerBytes(preamble)
  if (preamble.length !== publicBytes + WRAPPED_KEY_BYTES) throw invalid('is cut short')
  const about = parseHeader(preamble.subarray(PREFIX_BYTES, publicBytes))
  if (about.keyId !== keyIdOf(fleetKey)) throw invalid('was sealed by another fleet')
  const wrapped = preamble.subarray(publicBytes)
  const wrapping = wrappingKey(fleetKey, about.salt)
  const decipher = createDecipheriv('aes-256-gcm', wrapping, wrapped.subarray(0, NONCE_BYTES))
  decipher.setAAD(preamble.subarray(0, publicBytes)).setAuthTag(wrapped.subarray(-TAG_BYTES))
  try {
    const body = wrapped.subarray(NONCE_BYTES, -TAG_BYTES)
    return { about, key: Buffer.concat([decipher.update(body), decipher.final()]) }
  } catch (cause) {
    throw invalid('was altered: its header fails the seal', cause)
  } finally {
    wrapping.fill(0)
  }
}

export function sealChunk(key: Buffer, index: number, last: boolean, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, chunkNonce(index, last))
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** Throws BackupInvalid when the chunk was altered, moved, or is not the last although the file ends with it. */
export function openChunk(key: Buffer, index: number, last: boolean, sealed: Buffer): Buffer {
  if (sealed.length < TAG_BYTES) throw invalid('is cut short')
  const decipher = createDecipheriv('aes-256-gcm', key, chunkNonce(index, last))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch (cause) {
    throw invalid(`was altered or cut short: part ${index} fails its seal`, cause)
  }
}

function chunkNonce(index: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeUInt8(last ? 1 : 0, 0)
  nonce.writeUIntBE(index, NONCE_BYTES - 6, 6)
  return nonce
}

function parseHeader(json: Buffer): BackupHeader {
  try {
    return header.parse(JSON.parse(json.toString('utf8')))
  } catch (cause) {
    throw invalid('is damaged: its header cannot be read', cause)
  }
}

function wrappingKey(fleetKey: Uint8Array, salt: string): Buffer {
  return Buffer.from(hkdfSync('sha256', fleetKey, Buffer.from(salt, 'hex'), 'strongroom backup wrapping v1', KEY_BYTES))
}

function keyIdOf(fleetKey: Uint8Array): string {
  return Buffer.from(hkdfSync('sha256', fleetKey, Buffer.alloc(0), 'strongroom backup key id v1', 8)).toString('hex')
}
