/** The fleet backup key: in memory only while a backup is begun or opened. */
import { createHmac } from 'node:crypto'
import { open } from 'node:fs/promises'
import { HsmError } from '../protocol/errors.ts'
import type { RecordStore } from '../vault/record-store.ts'

export const FLEET_KEY_BYTES = 32

/** Reads the key, lets it be used, and zeroes it. Throws StorageFailed when the file is not such a key. */
export async function withFleetKey<Result>(
  path: string,
  use: (key: Buffer) => Result | Promise<Result>,
): Promise<Result> {
  // One byte more than a key, so that a longer file is noticed.
  const bytes = Buffer.alloc(FLEET_KEY_BYTES + 1)
  try {
    const file = await open(path, 'r').catch((cause: unknown) => {
      throw new HsmError('StorageFailed', `the fleet backup key ${path} cannot be read`, { cause })
    })
    try {
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
      if (bytesRead !== FLEET_KEY_BYTES) {
        throw new HsmError('StorageFailed', `the fleet backup key ${path} does not have ${FLEET_KEY_BYTES} bytes`)
      }
    } finally {
      await file.close()
    }
    return await use(bytes.subarray(0, FLEET_KEY_BYTES))
  } finally {
    bytes.fill(0)
  }
}

/** Name of the key's fingerprint among what the store keeps for this HSM alone. */
const KNOWN = 'backup/fleet-key'

/**
 * Remembers which key it is, and throws StorageFailed when it is another one than before: what an altered key seals, no
 * other HSM could ever open.
 */
export async function requireKnownFleetKey(path: string, local: RecordStore['local']): Promise<void> {
  const fingerprint = await withFleetKey(path, (key) =>
    createHmac('sha256', key).update('strongroom fleet key').digest(),
  )
  const known = local.get(KNOWN)
  if (!known) return local.put(KNOWN, fingerprint)
  if (fingerprint.equals(known)) return
  throw new HsmError(
    'StorageFailed',
    `${path} is not the fleet backup key that it was: restore it from a copy of the fleet`,
  )
}
