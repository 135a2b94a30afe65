/** A user's RSA-2048 key for tests, made and used by the openssl program as AWS's users are told to. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPublicKey } from 'node:crypto'

export interface Signer {
  /** Of the public key, PEM. */
  readonly publicKeyFile: string
  readonly publicKey: string
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Buffer
  /** RSASSA-PKCS1-v1_5 over a SHA-256 digest. */
  sign(digest: Uint8Array): Buffer
  [Symbol.dispose](): void
}

export function opensslSigner(bits = 2048): Signer {
  const directory = mkdtempSync(join(tmpdir(), 'signer-'))
  const path = (name: string) => join(directory, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  openssl('genrsa', '-out', path('key.pem'), String(bits))
  openssl('rsa', '-in', path('key.pem'), '-pubout', '-outform', 'PEM', '-out', path('public.pem'))
  const publicKey = readFileSync(path('public.pem'), 'utf8')
  return {
    publicKeyFile: path('public.pem'),
    publicKey,
    spki: createPublicKey(publicKey).export({ type: 'spki', format: 'der' }),
    sign(digest) {
      writeFileSync(path('digest'), digest)
      return openssl('pkeyutl', '-sign', '-inkey', path('key.pem'), '-pkeyopt', 'digest:sha256', '-in', path('digest'))
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}
