/** Token files on their way: written for users to sign, read back when they did (data-plane reference §1.4, §5). */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { loginFile, readLoginFile } from '../sdk/quorum-files.ts'
import type { SignTokens } from '../sdk/mfa.ts'
import { CliError } from './cli-error.ts'
import type { Invocation } from './command.ts'
import { messageOf } from './config.ts'

const MAX_FILE_BYTES = 262_144

/** Throws CliError when it cannot be read or is too long to be a token or a key. */
export async function readTokenFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > MAX_FILE_BYTES) throw new CliError(`${path} is longer than ${MAX_FILE_BYTES} bytes`)
    return await readFile(path, 'utf8')
  } catch (error) {
    throw error instanceof CliError ? error : new CliError(`cannot read ${path}: ${messageOf(error)}`)
  }
}

/** Throws CliError. */
export async function writeTokenFile(path: string, content: string): Promise<void> {
  try {
    await writeFile(path, content)
  } catch (error) {
    throw new CliError(`cannot write ${path}: ${messageOf(error)}`)
  }
}

/** Writes the tokens of HSMs into a file and waits until the user says where the signed ones are. */
export function signByFile(path: string, { ask }: Invocation): SignTokens {
  return async (tokens) => {
    await writeTokenFile(path, loginFile(tokens))
    const signed = await ask('Enter signed token file path (press enter if same as the unsigned token file):')
    return readLoginFile(await readTokenFile(signed === '' ? path : signed))
  }
}
