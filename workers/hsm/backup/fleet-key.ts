/** The fleet backup key: in memory only while a backup is begun or opened. */
import { open } from 'node:fs/promises'
import { HsmError } from '../protocol/errors.ts'

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
      throw new HsmError('StorageFailed', 'the fleet backup key cannot be read', { cause })
    })
    try {
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
      if (bytesRead !== FLEET_KEY_BYTES) {
        throw new HsmError('StorageFailed', `the fleet backup key does not have ${FLEET_KEY_BYTES} bytes`)
      }
    } finally {
      await file.close()
    }
    return await use(bytes.subarray(0, FLEET_KEY_BYTES))
  } finally {
    bytes.fill(0)
  }
}
