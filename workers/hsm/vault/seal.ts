/**
 * The seal of an HSM: the device's seal key, and AES-256-GCM under a key derived from it.
 *
 * Everything an HSM keeps on disk is sealed with it, so destroying 32 bytes destroys all of it. The key lies in a file
 * of mode 0600 in the HSM's directory; whoever can read that file and the store can read the content.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
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
/** What is written over a seal key: one write destroys it and says that it was meant to be. */
const DESTROYED = Buffer.from('zeroised'.repeat(KEY_BYTES / 8))
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
  if (await zeroisationBegan(directory)) {
    throw new VaultDamaged(
      `the HSM in ${directory} was zeroised: its keys are destroyed, and it never starts again. The service replaces it; ` +
        'what the other HSMs of the cluster or its newest backup hold comes back with the new one',
    )
  }
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

/** Whether anything was ever kept in this directory. */
export async function hasVault(directory: string): Promise<boolean> {
  return (await exists(join(directory, VAULT_FILES.sealKey))) || (await exists(join(directory, VAULT_FILES.store)))
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
 * Zeroises: destroys the seal key, which makes all that is sealed unreadable at once, then removes the store and whatever
 * else is named in `also`, and last makes what stands in the key's place the mark of the end. The first write destroys the
 * key and says so, and none after it needs room on the disk: killed in between, `zeroisationBegan` tells, and calling this again
 * ends it. (Flash and journalling file systems may keep an old copy of an overwritten block; on such media the directory
 * belongs on an encrypted volume.)
 */
export async function destroySealKey(directory: string, also: readonly string[] = []): Promise<void> {
  const key = join(directory, VAULT_FILES.sealKey)
  const mark = join(directory, VAULT_FILES.zeroised)
  // A disk that takes no write at all still lets the file be renamed, which keeps the HSM from ever starting again.
  const failed = await overwrite(key).then(
    () => false,
    () => true,
  )
  if (failed) await renameIfThere(key, mark)
  const store = join(directory, VAULT_FILES.store)
  for (const path of [`${key}.new`, store, openMarkOf(store), ...also.map((name) => join(directory, name))]) {
    // Something that is under way may still be writing there.
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
  }
  await syncDirectory(directory)
  await renameIfThere(key, mark)
  const file = await open(mark, 'a', 0o600)
  try {
    if (failed) await overwrite(mark)
    await file.truncate(0)
    await file.sync()
  } finally {
    await file.close()
  }
  await syncDirectory(directory)
}

/** Nothing when there is no such file. */
async function overwrite(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+')
    try {
      await file.write(DESTROYED, 0, KEY_BYTES, 0)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if (!isMissing(error)) throw error
  })
}

/** Whether a zeroisation has begun in this directory: its end is `destroySealKey`. */
export async function zeroisationBegan(directory: string): Promise<boolean> {
  if (await wasZeroised(directory)) return true
  const key = await readFile(join(directory, VAULT_FILES.sealKey)).catch(() => undefined)
  const began = key?.equals(DESTROYED) === true
  key?.fill(0)
  return began
}

/** Whether one has come so far that this HSM can never start again. For who must not look at the key. */
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
