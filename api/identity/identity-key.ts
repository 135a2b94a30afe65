/**
 * What the fleet's identity key is good for: sealing secret access keys at rest, and temporary credentials that every
 * region of the fleet can verify without having been told of them.
 *
 * A sealed text is version (1 byte), fingerprint of the key (4), nonce (12), AES-256-GCM ciphertext and tag (16), in
 * base64url. Each purpose has a key of its own, derived with HKDF-SHA256 (RFC 5869).
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { Secret } from './secret.ts'

/** What a temporary key stands for. */
const session = z.strictObject({
  account: z.string(),
  /** `configured`: a user of the configuration. */
  kind: z.enum(['root', 'user', 'role', 'configured']),
  name: z.string(),
  /** Of the user or role: one of the same name that is made later is another. */
  principalId: z.string(),
  /** RoleSessionName; undefined of GetSessionToken. */
  sessionName: z.string().optional(),
  /** Document that narrows it. */
  policy: z.string().optional(),
  /** Epoch milliseconds. */
  issuedAt: z.int(),
  expiresAt: z.int(),
})
export type Session = z.infer<typeof session>

export interface IdentityKey {
  /** Only the same access key id opens it again. */
  sealSecret(secret: string, accessKeyId: string): string
  /** Throws when it was sealed with another key, or changed since. */
  openSecret(sealed: string, accessKeyId: string): Secret
  /** A token that holds the session. */
  sealSession(content: Session, accessKeyId: string): string
  /** Undefined when the token is not one of ours for this access key id. */
  openSession(token: string, accessKeyId: string): Session | undefined
  /** The secret that belongs to a token. */
  sessionSecret(token: string, accessKeyId: string): Secret
}

export const IDENTITY_KEY_BYTES = 32
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 5

/** `material`: 32 random bytes. The caller may zero them afterwards. */
export function identityKey(material: Uint8Array): IdentityKey {
  if (material.length !== IDENTITY_KEY_BYTES) throw new Error(`an identity key has ${IDENTITY_KEY_BYTES} bytes`)
  const derived = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', material, '', `strongroom identity ${purpose}`, 32))
  const [secretKey, sessionKey, derivationKey] = [derived('secret'), derived('session'), derived('session secret')]
  const head = Buffer.concat([Buffer.from([VERSION]), derived('fingerprint').subarray(0, HEAD_BYTES - 1)])
  return {
    sealSecret: (secret, id) => seal(secretKey, head, secret, id),
    openSecret: (sealed, id) => {
      const bytes = Buffer.from(sealed, 'base64url')
      if (!bytes.subarray(0, HEAD_BYTES).equals(head)) {
        throw new Error(`the secret of ${id} was sealed with another identity key than that of this fleet`)
      }
      const text = open(secretKey, bytes, id)
      if (text === undefined) throw new Error(`the sealed secret of ${id} is damaged`)
      return new Secret(text)
    },
    sealSession: (content, id) => seal(sessionKey, head, JSON.stringify(content), id),
    openSession: (token, id) => {
      const bytes = Buffer.from(token, 'base64url')
      const text = bytes.subarray(0, HEAD_BYTES).equals(head) ? open(sessionKey, bytes, id) : undefined
      return text === undefined ? undefined : session.parse(JSON.parse(text))
    },
    sessionSecret: (token, id) =>
      new Secret(createHmac('sha256', derivationKey).update(`${id} ${token}`).digest('base64').slice(0, 40)),
  }
}

function seal(key: Buffer, head: Buffer, text: string, accessKeyId: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.concat([head, Buffer.from(accessKeyId)]))
  return Buffer.concat([head, nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
    'base64url',
  )
}

function open(key: Buffer, bytes: Buffer, accessKeyId: string): string | undefined {
  if (bytes.length < HEAD_BYTES + NONCE_BYTES + TAG_BYTES) return undefined
  const content = bytes.subarray(HEAD_BYTES + NONCE_BYTES, -TAG_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(Buffer.concat([bytes.subarray(0, HEAD_BYTES), Buffer.from(accessKeyId)]))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(content), decipher.final()]).toString()
  } catch {
    return undefined
  }
}
