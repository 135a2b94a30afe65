import { password } from '../../workers/hsm/protocol/values.ts'
import { CliError } from './cli-error.ts'
import type { Invocation } from './command.ts'

/** The password of a login: by flag, or asked for. */
export async function currentPassword(given: string | undefined, { askHidden }: Invocation): Promise<string> {
  return given ?? askHidden('Enter password:')
}

/** A password to be set: by flag, or asked for twice. Throws CliError when it may not be one. */
export async function newPassword(given: string | undefined, { askHidden }: Invocation): Promise<string> {
  const text = given ?? (await askHidden('Enter password:'))
  const checked = password.safeParse(text)
  if (!checked.success) throw new CliError(checked.error.issues.map(({ message }) => message).join('; '))
  if (given === undefined && (await askHidden('Confirm password:')) !== text) {
    throw new CliError('The passwords are not the same')
  }
  return checked.data
}
