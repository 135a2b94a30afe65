import { access, constants, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf, Trouble, whyNot } from '../trouble.ts'

/**
 * Makes a directory and those above it, for this user alone; one that is there must be writable. Throws a Trouble that
 * says why it cannot be.
 */
export async function ownDirectory(path: string): Promise<void> {
  await make(path).catch((error: unknown) => refuse(path, 'made', error))
  await access(path, constants.W_OK | constants.X_OK).catch((error: unknown) => refuse(path, 'written', error))
}

function refuse(path: string, what: 'made' | 'written', cause: unknown): never {
  throw new Trouble(`The directory ${path} cannot be ${what}: ${whyNot(cause)}.`, {
    mend: 'Choose another data directory with --data DIR.',
    cause,
  })
}

/** As `recursive` of node:fs, which tries for ever where nothing can be made, as in /proc. */
async function make(path: string): Promise<void> {
  try {
    await makeOne(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    await make(dirname(path))
    await makeOne(path)
  }
}

async function makeOne(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch(async (error: unknown) => {
    if (codeOf(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error
  })
}
