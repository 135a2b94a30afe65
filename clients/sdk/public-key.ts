import { createPublicKey } from 'node:crypto'
import { TokenFileError } from './quorum-files.ts'

/** DER SubjectPublicKeyInfo of a public key in PEM. Throws TokenFileError. */
export function spkiOf(pem: string): Buffer {
  // Node would take the public half of a private key as well; such a file is the wrong one.
  if (!/-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem))
    throw new TokenFileError('the public key file holds no public key in PEM')
  try {
    return createPublicKey(pem).export({ type: 'spki', format: 'der' })
  } catch (cause) {
    throw new TokenFileError('the public key cannot be read', { cause })
  }
}
