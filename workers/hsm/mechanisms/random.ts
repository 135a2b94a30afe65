/** Random bytes from OpenSSL's DRBG (NIST SP 800-90A). */
import { randomBytes } from 'node:crypto'

/** At most 64 KiB at a time, which takes less than a millisecond. */
export function random(length: number): Buffer {
  return randomBytes(length)
}
