/** BLAKE3 of a backup: what the control plane stores to check copies with. */
import type { FileHandle } from 'node:fs/promises'

const READ_BYTES = 256 * 1024

/** Takes bytes in and gives their digest, hexadecimal. */
export interface Digest {
  update(bytes: Uint8Array): void
  hex(): string
}

/** Loaded when needed: most HSM processes never make a backup in their life. */
export async function newDigest(): Promise<Digest> {
  const { blake3 } = await import('@noble/hashes/blake3.js')
  const hash = blake3.create({})
  return {
    update: (bytes) => void hash.update(bytes),
    hex: () => Buffer.from(hash.digest()).toString('hex'),
  }
}

/** Size and digest of a file. Gives other work its turn between pieces. */
export async function digestOf(file: FileHandle): Promise<{ size: number; digest: string }> {
  const digest = await newDigest()
  const buffer = Buffer.alloc(READ_BYTES)
  let size = 0
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size)
    if (bytesRead === 0) return { size, digest: digest.hex() }
    digest.update(buffer.subarray(0, bytesRead))
    size += bytesRead
  }
}
