/** Digests: their lengths, and the check that what is called a digest can be one. */
import { HsmError } from '../protocol/errors.ts'
import type { HashName } from '../protocol/mechanisms.ts'
import type { DigestParams } from './mechanism.ts'

/** FIPS 180-4, bytes. */
export const DIGEST_BYTES = {
  sha1: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
} as const satisfies Record<HashName, number>

/** DER of DigestInfo up to the digest: RFC 8017 §9.2 note 1. */
export const DIGEST_INFO_PREFIX = {
  sha1: Buffer.from('3021300906052b0e03021a05000414', 'hex'),
  sha224: Buffer.from('302d300d06096086480165030402040500041c', 'hex'),
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha384: Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex'),
} as const satisfies Record<HashName, Buffer>

/** Throws InvalidRequest when the data is said to be a digest and has another length than one. */
export function requireDigestLength({ hash, dataType }: DigestParams, data: Uint8Array): void {
  if (dataType === 'raw' || data.length === DIGEST_BYTES[hash]) return
  throw new HsmError('InvalidRequest', `a ${hash} digest has ${DIGEST_BYTES[hash]} bytes, not ${data.length}`)
}
