/**
 * A token key as it was made, as records keep it. Fields may be added; none may change its meaning. What changed since
 * stands beside it: `key-changes.ts`.
 */
import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { keyAttributes } from '../protocol/attributes.ts'
import { bytes } from '../protocol/values.ts'
import type { KeyClass } from './attributes.ts'

const packr = new Packr({ useRecords: false })
const PREFIX = 'keys/'

const keyRecord = z.object({
  owner: z.string(),
  /** Crypto users who may use the key. */
  sharedWith: z.array(z.string()),
  attributes: keyAttributes,
  /** Secret key: its bytes; private key: DER PKCS#8; public key: DER SubjectPublicKeyInfo. */
  material: bytes(65_536, 1),
  /** Approvals that managing and using the key takes; keys of before there were any have none. */
  manageQuorum: z.number().default(0),
  useQuorum: z.number().default(0),
  /** Whether an admin ever called it trusted, or no longer. */
  onceTrusted: z.boolean().optional(),
})
export type KeyRecord = z.infer<typeof keyRecord>

export const keyPath = (handle: string) => PREFIX + handle

export function handleOf(path: string): string | undefined {
  return path.startsWith(PREFIX) ? path.slice(PREFIX.length) : undefined
}

export const encodeKey = (key: z.input<typeof keyRecord>): Buffer => packr.pack(key)
export const decodeKey = (value: Uint8Array): KeyRecord => keyRecord.parse(packr.unpack(value))

/** The key of node:crypto in stored material. */
export function keyObjectOf(keyClass: KeyClass, material: Uint8Array): KeyObject {
  const key = Buffer.from(material.buffer, material.byteOffset, material.length)
  switch (keyClass) {
    case 'secret-key':
      return createSecretKey(key)
    case 'private-key':
      return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
    case 'public-key':
      return createPublicKey({ key, format: 'der', type: 'spki' })
  }
}
