/**
 * The seal of an HSM: the device's seal key, and AES-256-GCM under a key derived from it.
 *
 * Everything an HSM keeps on disk is sealed with it, so destroying 32 bytes destroys all of it. The key lies in a file
 * of mode 0600 in the HSM's directory; whoever can read that file and the store can read the content.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { HSM_FILES } from '../../../provider-schema/hsm-directory.ts'

/** Names in an HSM's directory that only the vault knows. */
export const VAULT_FILES = {
  sealKey: 'seal.key',
  /** Directory of the sealed store. */
  store: 'store',
  zeroised: HSM_FILES.zeroised,
} as const

/** What the operator of an HSM with a damaged store can do. */
export const HOW_TO_RECOVER =
  'How to recover: while another HSM of the cluster runs, delete this one and create one in its place, which takes ' +
  'everything over from the others (aws cloudhsmv2 delete-hsm, create-hsm). If it is the only one, restore its directory ' +
  'from a copy, or create a cluster from the newest backup (aws cloudhsmv2 create-cluster --source-backup-id)'

/** Beside a store that is open, or was when its process ended. */
export const openMarkOf = (store: string) => `${store}.open`

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** What an HSM keeps cannot be opened as it stands: the message says what is wrong and what can be done. */
export class VaultDamaged extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'VaultDamaged'
  }
}

/** Seals and opens byte strings, each bound to a name: what was sealed under one name does not open under another. */
export interface Seal {
  seal(name: string, plaintext: Uint8Array): Buffer
  /** Throws VaultDamaged when the bytes were not sealed under this name by this seal. */
  open(name: string, sealed: Uint8Array): Buffer
  /** A keyed 32-byte fingerprint, of no use to whoever lacks the seal key. */
  fingerprint(name: string, content: Uint8Array): Buffer
}

/** Derives (HKDF-SHA-256, RFC 5869) the keys of one purpose; different purposes share nothing. */
export function sealFor(sealKey: Uint8Array, purpose: string): Seal {
  const key = derive(sealKey, `strongroom ${purpose} seal v1`)
  const fingerprintKey = derive(sealKey, `strongroom ${purpose} fingerprint v1`)
  return {
    seal(name, plaintext) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name))
      return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
    },
    open(name, sealed) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new VaultDamaged(`${printable(name)} is cut short`)
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
      decipher.setAAD(Buffer.from(name)).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
      try {
        const body = sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)
        return Buffer.concat([decipher.update(body), decipher.final()])
      } catch (cause) {
        throw new VaultDamaged(`${printable(name)} fails its seal`, { cause })
      }
    },
    fingerprint: (name, content) => createHmac('sha256', fingerprintKey).update(`${name}\0`).update(content).digest(),
  }
}

/** A name read from a file may itself be what is damaged: it goes into messages and logs. */
const printable = (name: string) => name.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)

function derive(secret: Uint8Array, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), info, KEY_BYTES))
}

/**
 * The seal key of a directory: the one that is there, or a new one when nothing was ever sealed there. Throws
 * VaultDamaged when sealed content is there but not its key, or when the HSM was zeroised.
 */
export async function sealKeyOf(directory: string): Promise<Buffer> {
  if (await wasZeroised(directory)) throw new VaultDamaged(`the HSM in ${directory} was zeroised`)
  const path = join(directory, VAULT_FILES.sealKey)
  try {
    const key = await readFile(path)
    if (key.length === KEY_BYTES) return key
    throw new VaultDamaged(
      `${path} has ${key.length} bytes instead of ${KEY_BYTES}: restore it from a copy. ${HOW_TO_RECOVER}`,
    )
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  if (await exists(join(directory, VAULT_FILES.store))) {
    throw new VaultDamaged(
      `${path} is missing but there is a sealed store beside it: restore the file from a copy. ${HOW_TO_RECOVER}`,
    )
  }
  return createSealKey(directory)
}

async function createSealKey(directory: string): Promise<Buffer> {
  const path = join(directory, VAULT_FILES.sealKey)
  const key = randomBytes(KEY_BYTES)
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(key)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  await syncDirectory(directory)
  return key
}

/**
 * Zeroises: overwrites and removes the seal key first, which makes all that is sealed unreadable at once, then leaves a
 * mark and removes the store. May be repeated after a crash in between. (Flash and journalling file systems may keep an
 * old copy of an overwritten block; on such media the directory belongs on an encrypted volume.)
 */
export async function destroySealKey(directory: string): Promise<void> {
  const path = join(directory, VAULT_FILES.sealKey)
  try {
    const file = await open(path, 'r+')
    try {
      await file.write(randomBytes(KEY_BYTES), 0, KEY_BYTES, 0)
      await file.sync()
      await file.write(Buffer.alloc(KEY_BYTES), 0, KEY_BYTES, 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await unlink(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  await rm(`${path}.new`, { force: true })
  await syncDirectory(directory)
  const mark = await open(join(directory, VAULT_FILES.zeroised), 'w', 0o600)
  await mark.sync()
  await mark.close()
  await rm(join(directory, VAULT_FILES.store), { recursive: true, force: true })
  await rm(openMarkOf(join(directory, VAULT_FILES.store)), { force: true })
  await syncDirectory(directory)
}

export function wasZeroised(directory: string): Promise<boolean> {
  return exists(join(directory, VAULT_FILES.zeroised))
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** Makes renames and removals in a directory durable. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
