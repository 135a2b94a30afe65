/**
 * Approvals by several users (M of N, data-plane reference §5): the services, and the records that tokens are made of.
 *
 * A token is SHA-256 over `approval_data`: one record of 80 bytes for each HSM, each with that HSM's own nonce. Users sign
 * the token. A token can be spent once in all: on the HSM whose record stands first.
 */
import { createHash } from 'node:crypto'

/** Thresholds of the whole cluster, approved by admins. */
export const ADMIN_SERVICES = ['user', 'quorum', 'cluster'] as const
export type AdminService = (typeof ADMIN_SERVICES)[number]

/** Thresholds of each key, approved by its owner and those it is shared with. */
export const KEY_SERVICES = ['key-usage', 'key-management'] as const
export type KeyService = (typeof KEY_SERVICES)[number]

/** `registration`: a user shows a key that approvals are to be signed with. */
export const QUORUM_SERVICES = [...ADMIN_SERVICES, ...KEY_SERVICES, 'registration'] as const
export type QuorumService = (typeof QUORUM_SERVICES)[number]

export const isKeyService = (service: QuorumService): service is KeyService =>
  KEY_SERVICES.some((known) => known === service)

/** Seconds that a token may be approved and spent. */
export const TOKEN_LIFETIME_SECONDS = 600
/** A threshold of 1 asks for no approval. */
export const MAX_QUORUM_VALUE = 8

/** AWS's words (data-plane reference §2.3). */
export const QUORUM_REQUIRED_TEXT = 'Quorum approval is required for this operation'
export const INVALID_QUORUM_VALUE_TEXT = 'Invalid quorum value provided.'

/** Only those of `user` and `key-usage` are seen in published samples; the others are ours. */
const SERVICE_CODES: Readonly<Record<QuorumService, number>> = {
  user: 3,
  quorum: 4,
  'key-usage': 5,
  'key-management': 6,
  cluster: 7,
  registration: 8,
}
const CLASS_CODES = { admin: 1, key: 2 } as const

/** Of one HSM in `approval_data`. */
export const TOKEN_RECORD_BYTES = 80
/** HSMs of a cluster, and some more than there may be. */
export const MAX_TOKEN_RECORDS = 64
export const NONCE_BYTES = 16
const USERNAME_BYTES = 32
const NO_KEY = '0x0000000000000000'

export interface TokenRecord {
  readonly service: QuorumService
  readonly hsmId: string
  /** Of key services. */
  readonly handle?: string | undefined
  readonly nonce: Uint8Array
  readonly username: string
  readonly unixSeconds: number
}

/**
 * Big-endian: u16 class, u16 service, u32 HSM, u64 key handle, nonce, user name with NULs behind it, u64 Unix time, u64
 * zero (§5.1).
 */
export function encodeTokenRecord(record: TokenRecord): Buffer {
  const { service, hsmId, handle = NO_KEY, nonce, username, unixSeconds } = record
  const name = Buffer.alloc(USERNAME_BYTES)
  name.write(username, 'utf8')
  const head = Buffer.alloc(16)
  head.writeUInt16BE(isKeyService(service) ? CLASS_CODES.key : CLASS_CODES.admin, 0)
  head.writeUInt16BE(SERVICE_CODES[service], 2)
  head.writeUInt32BE(hsmNumber(hsmId), 4)
  head.writeBigUInt64BE(BigInt(handle), 8)
  const tail = Buffer.alloc(16)
  tail.writeBigUInt64BE(BigInt(unixSeconds), 0)
  const encoded = Buffer.concat([head, nonce, name, tail])
  if (encoded.length !== TOKEN_RECORD_BYTES) throw new Error(`a nonce has ${NONCE_BYTES} bytes`)
  return encoded
}

/** The 32-bit number that stands for an HSM in records. Two HSMs may share one: nonces tell their records apart. */
export function hsmNumber(hsmId: string): number {
  return createHash('sha256').update(hsmId).digest().readUInt32BE(0)
}

/** What stands for the HSM in a record. */
export const hsmNumberIn = (record: Uint8Array): number => Buffer.from(record).readUInt32BE(4)

/** The service in a record; undefined for a code that is not known here. */
export function serviceIn(record: Uint8Array): QuorumService | undefined {
  const code = Buffer.from(record).readUInt16BE(2)
  return QUORUM_SERVICES.find((service) => SERVICE_CODES[service] === code)
}

/** Who asked for the token. */
export function usernameIn(record: Uint8Array): string {
  return Buffer.from(record)
    .toString('utf8', 32, 32 + USERNAME_BYTES)
    .replace(/\0+$/, '')
}

/** Key handle, Unix time: when the token was made by the clock of the record's HSM. */
export const handleIn = (record: Uint8Array): string =>
  `0x${Buffer.from(record).readBigUInt64BE(8).toString(16).padStart(16, '0')}`
export const unixSecondsIn = (record: Uint8Array): number => Number(Buffer.from(record).readBigUInt64BE(64))

/** The records of `approval_data`, in their order; undefined when it is none. */
export function recordsIn(approvalData: Uint8Array): Buffer[] | undefined {
  const count = approvalData.length / TOKEN_RECORD_BYTES
  if (!Number.isInteger(count) || count < 1 || count > MAX_TOKEN_RECORDS) return undefined
  const bytes = Buffer.from(approvalData)
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * TOKEN_RECORD_BYTES, (i + 1) * TOKEN_RECORD_BYTES))
}

/** What users sign, as the digest of RSASSA-PKCS1-v1_5. */
export const tokenOf = (approvalData: Uint8Array): Buffer => createHash('sha256').update(approvalData).digest()
