/** AES and other secret keys: making them. What they do is in `gcm.ts`, `block-cipher.ts`, `mac.ts` and `key-wrap.ts`. */
import { randomBytes } from 'node:crypto'
import { secretMaterial } from './describe.ts'
import type { KeyMaterial, SecretType } from './mechanism.ts'

/** Of as many bytes as the policy allows the type. */
export function generateSecret(type: SecretType, lengthBytes: number): KeyMaterial {
  const bytes = randomBytes(lengthBytes)
  if (type === 'des3') setOddParity(bytes)
  return secretMaterial(type, bytes)
}

/** The last bit of each byte of a DES key makes its number of ones odd (FIPS 46-3). */
function setOddParity(bytes: Buffer): void {
  for (const [at, byte] of bytes.entries()) {
    let ones = byte >> 1
    ones ^= ones >> 4
    ones ^= ones >> 2
    ones ^= ones >> 1
    bytes.writeUInt8((byte & 0xfe) | (~ones & 1), at)
  }
}
