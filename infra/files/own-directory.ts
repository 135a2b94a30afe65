import { mkdir } from 'node:fs/promises'
import { Trouble, whyNot } from '../trouble.ts'

/** Makes a directory and those above it, for this user alone. Throws a Trouble that says why it cannot be. */
export async function ownDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new Trouble(`The directory ${path} cannot be made: ${whyNot(error)}.`, {
      mend: 'Choose another data directory with --data DIR.',
      cause: error,
    })
  }
}
