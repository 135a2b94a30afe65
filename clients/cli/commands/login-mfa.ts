import { z } from 'zod'
import { role, username } from '../../../workers/hsm/protocol/values.ts'
import { CliError } from '../cli-error.ts'
import { command } from '../command.ts'
import { currentPassword } from '../passwords.ts'
import { signByFile } from '../token-files.ts'

/** The other flags are those of `login`, before or behind these words. */
export const loginMfa = command({
  path: 'login mfa-token-sign',
  summary: 'Log in with a password and tokens that you sign, one of each HSM',
  options: [{ flags: '--token <file>', description: 'where to write the tokens to be signed', required: true }],
  input: z.object({ username, role, password: z.string().optional(), token: z.string().min(1) }),
  run: async (input, invocation) => {
    const client = await invocation.connect()
    if (client.user) throw new CliError(`${client.user.username} is logged in already; log out first`)
    const password = await currentPassword(input.password, invocation)
    const { username: name, role: as } = input
    await client.loginSigned({ username: name, role: as, password, sign: signByFile(input.token, invocation) })
    return { username: name, role: as }
  },
})
